#!/bin/sh
# Makes a Kubo node private and its writes durable: run on its repository (IPFS_PATH) before each start.
# In the image of Kubo it lies in /container-init.d, which does that; elsewhere run it before `ipfs daemon`.
#
# Private: it talks to no other node, asks nobody where anything is, tells nobody what it has, looks up
# nothing and reports nothing. Durable: flatfs syncs each block before it is acknowledged; a new node does
# not. All is set again at each start, so that nothing that was changed or migrated undoes it.
set -eu

repo=${IPFS_PATH:-$HOME/.ipfs}
[ -f "$repo/config" ] || { echo "kubo-init: no repository in $repo" >&2; exit 1; }

# Commands on the repository have no key to ask for; only the node needs one.
unset LIBP2P_FORCE_PNET

# A newer Kubo takes no settings before its repository is of its own version.
ipfs repo migrate >/dev/null || { echo "kubo-init: $repo cannot be migrated" >&2; exit 1; }

set_to() {
  ipfs config --json "$1" "$2" || { echo "kubo-init: $1 cannot be set" >&2; exit 1; }
}

# Whoever lacks this key cannot connect, should it ever listen.
if [ ! -s "$repo/swarm.key" ]; then
  (
    umask 077
    key=$(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n')
    [ ${#key} -eq 64 ] || { echo 'kubo-init: no random bytes' >&2; exit 1; }
    printf '/key/swarm/psk/1.0.0/\n/base16/\n%s\n' "$key" >"$repo/swarm.key.new"
    mv "$repo/swarm.key.new" "$repo/swarm.key"
  )
fi

# No other nodes.
set_to Bootstrap '[]'
set_to Peering.Peers '[]'
set_to Addresses.Swarm '[]'
set_to Addresses.Announce '[]'
set_to Addresses.AppendAnnounce '[]'
set_to Discovery.MDNS.Enabled false
set_to Swarm.DisableNatPortMap true
set_to Swarm.RelayClient.Enabled false
set_to Swarm.RelayService.Enabled false
set_to Swarm.EnableHolePunching false
set_to AutoNAT.ServiceMode '"disabled"'
# Nobody is asked, nobody is told.
set_to Routing '{"Type": "none"}'
set_to Provide.Enabled false
set_to Ipns.DelegatedPublishers '[]'
set_to DNS.Resolvers '{}'
set_to AutoConf.Enabled false
set_to AutoTLS.Enabled false
set_to HTTPRetrieval.Enabled false
set_to Plugins.Plugins '{"telemetry": {"Disabled": true}}'
# Services elsewhere that pin are no longer told by themselves what it has. (They cannot be taken away by setting.)
pinning=$(ipfs pin remote service ls) || { echo 'kubo-init: pinning services cannot be listed' >&2; exit 1; }
printf '%s\n' "$pinning" | sed 's/ *[^ ]*$//' | while read -r service; do
  [ -z "$service" ] || set_to "Pinning.RemoteServices.$service.Policies.MFS.Enable" false
done
# No page of the web may talk to it. What it serves is what it has. KUBO_API is for containers, whose network is theirs alone.
set_to Addresses.API "\"${KUBO_API:-/ip4/127.0.0.1/tcp/5001}\""
set_to Addresses.Gateway '[]'
set_to API.HTTPHeaders '{}'
set_to Gateway.NoFetch true

spec=$(ipfs config Datastore.Spec)
case $spec in
  *'"flatfs"'*) set_to Datastore.Spec "$(printf '%s' "$spec" | sed 's/"sync": *false/"sync": true/')" ;;
  *)
    echo 'kubo-init: private; its blocks are not in flatfs: see that it syncs what it writes' >&2
    exit ;;
esac
echo 'kubo-init: private, and synced'

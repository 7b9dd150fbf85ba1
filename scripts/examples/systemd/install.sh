#!/bin/sh
# Puts the service on a server with systemd, in one command: `sudo scripts/examples/systemd/install.sh`.
# It installs what the checkout needs, makes the user, the folders, the settings and a token, and starts
# the service. What is there already stays as it is, so it may be run again, and after an upgrade.
set -eu

checkout=$(cd "$(dirname "$0")/../../.." && pwd)
# For tests and packages: where the root of the system is.
root=${DESTDIR:-}
etc=$root/etc/cairn data=$root/var/lib/cairn units=$root/etc/systemd/system

say() { echo "install: $*" >&2; }
fail() {
  say "$*"
  exit 1
}

[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail 'run it as root'
[ -n "$root" ] || [ "$checkout" = /opt/cairn ] || fail "the units expect the checkout in /opt/cairn, not $checkout"
command -v node >/dev/null || fail 'Node 20.19 or newer is needed'

if [ ! -f "$checkout/dist/cli/main.js" ]; then
  (cd "$checkout" && scripts/install && npm run build)
fi

if ! id cairn >/dev/null 2>&1; then
  useradd --system --home-dir /var/lib/cairn --shell /usr/sbin/nologin cairn
  say 'made the user cairn'
fi
as_cairn() { setpriv --reuid cairn --regid cairn --init-groups "$@"; }

install -d -m 0755 "$etc" "$units"
install -d -m 0700 -o cairn -g cairn "$data"
if [ ! -f "$etc/cairn.config.json" ]; then
  # Secrets may come to stand in it.
  install -m 0600 -o cairn -g cairn /dev/null "$etc/cairn.config.json"
  printf '%s\n' '{' '  "data_dir": "/var/lib/cairn",' '  "export_schedule": "0 3 * * *"' '}' >"$etc/cairn.config.json"
  say "made $etc/cairn.config.json"
fi

tokens=$data/tokens.json
if [ ! -f "$tokens" ]; then
  (
    umask 077
    as_cairn "$checkout/bin/cairn" token create admin --right admin --data-dir "$data" >"$etc/admin.token.new" &&
      mv "$etc/admin.token.new" "$etc/admin.token"
  ) || {
    # With a token that nobody knows, nobody would be let in.
    rm -f "$etc/admin.token.new" "$tokens"
    fail "the first token could not be put into $etc/admin.token"
  }
  say "the token with all rights is in $etc/admin.token"
fi

for unit in cairn.service cairn-health.service cairn-health.timer alert-cairn@.service; do
  install -m 0644 "$checkout/scripts/examples/systemd/$unit" "$units/$unit"
done
install -d -m 0755 "$units/cairn-.service.d"
install -m 0644 "$checkout/scripts/examples/systemd/cairn-.service.d/common.conf" "$units/cairn-.service.d/common.conf"

systemctl daemon-reload
systemctl enable --now cairn.service cairn-health.timer
# What runs already takes what is new.
systemctl try-restart cairn.service
say 'the service runs: curl http://127.0.0.1:3000/readyz'

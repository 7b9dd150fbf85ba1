# What the scripts of this folder share. To be sourced, with SELF set to the path of the script.
# shellcheck shell=sh
#
# They work from any folder, without a terminal and with cron's short PATH. Settings are Cairn's own
# (docs/CONFIG.md), which know the older names: BACKUPS_DIR, IPFS_API_URL, INDEX_POINTER_PATH, ...

ROOT=$(dirname "$(dirname "$SELF")")

say() {
  printf '%s\n' "$*" >&2
}

# Node, which cron's PATH may lack.
find_node() {
  for node in "${NODE:-node}" /usr/local/bin/node /usr/bin/node /opt/homebrew/bin/node /snap/bin/node; do
    if command -v "$node" >/dev/null 2>&1; then
      command -v "$node"
      return
    fi
  done
  say "error: Node is not found."
  say "  hint: put its folder into PATH, or its path into NODE."
  exit 1
}
NODE=$(find_node)

cairn() {
  "$NODE" "$ROOT/bin/cairn" "$@"
}

# Is $1 among the arguments after it, before a "--"?
given() {
  wanted=$1
  shift
  for one in "$@"; do
    case $one in
      "$wanted" | "$wanted"=*) return 0 ;;
      --) return 1 ;;
    esac
  done
  return 1
}

# Evaluates a JavaScript expression on the JSON document on stdin, called `it`, and prints the outcome.
json() {
  "$NODE" -e '
    const it = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
    const value = new Function("it", "return (" + process.argv[1] + ")")(it)
    console.log(typeof value === "object" ? JSON.stringify(value) : String(value))
  ' "$1"
}

# The older scripts knew no other store than a node: whoever names its address that way means it.
use_older_names() {
  if [ -n "${CONTAINER_NAME:-}" ]; then
    say "note: CONTAINER_NAME is ignored; Cairn asks the node by its RPC address."
  fi
  [ -n "${IPFS_API_URL:-${IPFS_API:-}}" ] || return 0
  [ -z "${CAIRN_STORE:-}" ] || return 0
  if given --store "$@" || given --config "$@"; then return 0; fi
  origin=$(cairn config --json | json 'it.settings.store.origin')
  [ "$origin" = default ] || return 0
  say "note: no store is configured, but the address of a node is: using the node."
  export CAIRN_STORE=kubo
}

# Two runs at once would do no harm, but the work twice. Waits, as long as LOCK_WAIT seconds (3600), and
# then goes on beside the other. The lock is on the script itself: it leaves no file, and ends with the run.
one_at_a_time() {
  command -v flock >/dev/null 2>&1 || return 0
  waited=0
  exec 9<"$SELF"
  until flock -n 9; do
    [ "$waited" -gt 0 ] || say "note: another $(basename "$SELF") is running; waiting for it."
    if [ "$waited" -ge "${LOCK_WAIT:-3600}" ]; then
      say "note: it is still running; going on beside it."
      return 0
    fi
    sleep 2
    waited=$((waited + 2))
  done
}

#!/bin/sh
# Folds the recent entries into a new snapshot. Stdout: the CID of the current snapshot, nothing else.
#
#   build-snapshot.sh [any option of `cairn build-snapshot`]
#
# --json prints one document instead. With SNAPSHOTS_DIR set it also writes snapshot-SEQ.json and
# latest.json there, as older programs expect. Nothing new is a success that changes nothing.
set -eu
SELF=$(readlink -f "$0")
# shellcheck source=scripts/common.sh
. "$(dirname "$SELF")/common.sh"

use_older_names "$@"
one_at_a_time

if [ -z "${SNAPSHOTS_DIR:-}" ] && ! given --json "$@"; then
  exec "$NODE" "$ROOT/bin/cairn" build-snapshot "$@"
fi

# `cid`, `count` and `duration_seconds` are older names.
began=$(date +%s)
built=$(cairn build-snapshot --json "$@")
seconds=$(($(date +%s) - began))
record=$(printf '%s' "$built" | json "{ ...it, cid: it.snapshot, count: it.live, duration_seconds: $seconds }")

# $1: the name of a file, which is there only when it is whole.
write_record() {
  temporary=$(mktemp "$SNAPSHOTS_DIR/.$1.XXXXXX")
  if ! printf '%s\n' "$record" >"$temporary" || ! mv "$temporary" "$SNAPSHOTS_DIR/$1"; then
    rm -f "$temporary"
    exit 1
  fi
}

if [ -n "${SNAPSHOTS_DIR:-}" ]; then
  umask 077
  mkdir -p "$SNAPSHOTS_DIR"
  write_record "snapshot-$(printf '%s' "$record" | json it.seq).json"
  write_record latest.json
fi

if given --json "$@"; then
  printf '%s\n' "$record"
else
  printf '%s' "$record" | json it.cid
fi

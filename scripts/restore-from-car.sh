#!/bin/sh
# Restores a dataset from a CAR, or from a full one and its deltas. Stdout: one JSON document.
#
#   restore-from-car.sh CAR... [CID] [any option of `cairn restore-car`]
#
# Every block is checked before anything changes; restoring twice is a success that changes nothing. Into a
# dataset that holds something else: --replace --yes, or --as NAME.
set -eu
SELF=$(readlink -f "$0")
# shellcheck source=scripts/common.sh
. "$(dirname "$SELF")/common.sh"

use_older_names "$@"
restored=$(cairn restore-car --json "$@")

# `snapshot_cid`, `entity_count` and `restored` are older names.
printf '%s' "$restored" | json '{
  snapshot_cid: it.snapshot,
  entity_count: it.total_count,
  restored: it.status !== "planned",
  ...it,
}'
say "$(printf '%s' "$restored" | json '[it.status, it.dataset, "snapshot", it.seq, "entities", it.total_count].join(" ")')"

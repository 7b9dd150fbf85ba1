#!/bin/sh
# Exports everything up to now into a verified CAR in BACKUPS_DIR. The last line of stdout is its path.
#
#   export-car.sh [any option of `cairn export-car`]
#
# --json prints the sidecar instead, in which `path` is the CAR. Nothing new since the newest backup is a
# success: the path is then that of the newest.
set -eu
SELF=$(readlink -f "$0")
# shellcheck source=scripts/common.sh
. "$(dirname "$SELF")/common.sh"

use_older_names "$@"
one_at_a_time
exec "$NODE" "$ROOT/bin/cairn" export-car "$@"

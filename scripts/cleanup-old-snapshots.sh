#!/bin/sh
# Forgets all but the newest KEEP_LAST (5) snapshots, and frees what nothing kept needs.
#
#   [KEEP_LAST=5] [DRY_RUN=true] cleanup-old-snapshots.sh [any option of `cairn prune`]
#
# With an option --keep-... those rules count instead. The current snapshot always stays.
set -eu
SELF=$(readlink -f "$0")
# shellcheck source=scripts/common.sh
. "$(dirname "$SELF")/common.sh"

use_older_names "$@"
case " $* " in
  *' --keep-'*) ;;
  *) set -- --keep-last "${KEEP_LAST:-5}" "$@" ;;
esac
[ "${DRY_RUN:-false}" != true ] || set -- --dry-run "$@"
one_at_a_time
exec "$NODE" "$ROOT/bin/cairn" prune "$@"

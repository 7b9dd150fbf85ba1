#!/bin/sh
# Is the data safe? A line for each check: OK, WARNING or CRITICAL. Changes nothing. This is
# `cairn health` under its older name, of the configured dataset alone, with its older options:
#
#   check-snapshot-health.sh [--json] [--quiet] [--skip CHECK]... [limits] [settings of cairn]
#
#   --max-chain N               recent entries (70% of the chain limit: 7,000)
#   --max-snapshot-age TIME     of a snapshot while entries wait (48h)
#   --max-car-age TIME          of the newest CAR while it lacks entries (48h, or by the schedule of exports)
#   --max-drill-age TIME        of the newest drill (35d)
#   --backups-dir DIR           where the CARs are
#
# The checks are in docs/CLI.md, "health". --quiet prints what is wrong and nothing else, so that cron
# sends mail only then. Ends with 0 when all is well, with 18 when anything is not, with 2 on wrong usage.
set -eu
SELF=$(readlink -f "$0")
# shellcheck source=scripts/common.sh
. "$(dirname "$SELF")/common.sh"

use_older_names "$@"
for one; do
  shift
  case $one in
    --max-chain) set -- "$@" --alert-threshold ;;
    --max-chain=*) set -- "$@" "--alert-threshold=${one#*=}" ;;
    *) set -- "$@" "$one" ;;
  esac
done

code=0
cairn health --configured "$@" || code=$?
# A store that cannot be reached had no exit code of its own.
if [ "$code" -eq 17 ]; then code=18; fi
exit "$code"

#!/bin/sh
# Is everything of one entity there? Reads and hashes its entry, every block under its content, its history.
#
#   verify-entity.sh PI [any option of every cairn command]
#
# Ends with 0 and "✓ Entity fully accessible!", or with the exit code of the step that failed: 10 no such
# entity, 5 a block is missing, 4 one is damaged. One read for each value and file: for a whole dataset
# there is `cairn verify`.
set -eu
SELF=$(readlink -f "$0")
# shellcheck source=scripts/common.sh
. "$(dirname "$SELF")/common.sh"

case ${1:-} in
  '' | -h | --help)
    say 'usage: verify-entity.sh PI [--dataset NAME] [--store STORE]'
    exit 2
    ;;
esac
pi=$1
shift
use_older_names "$@"

not_accessible() {
  say "✗ Entity not accessible: $pi"
  exit "$1"
}

# The JSON of a read. If it fails, the same again for people: the sentence and the hint.
ask() {
  command=$1
  shift
  cairn "$command" --json "$@" 2>/dev/null || {
    code=$?
    cairn "$command" "$@" >/dev/null || true
    not_accessible $code
  }
}

field() {
  printf '%s' "$1" | json "it.$2"
}

# The CIDs that a value links to.
links_of() {
  printf '%s' "$1" | json '((found) => {
    const visit = (value) => {
      if (typeof value !== "object" || value === null) return
      if (typeof value["/"] === "string") found.push(value["/"])
      else Object.values(value).forEach(visit)
    }
    visit(it)
    return found.join(" ")
  })([])'
}

echo "Verifying entity $pi"

echo '1. Index pointer'
status=$(ask status "$@")
echo "   ✓ snapshot $(field "$status" latest_snapshot_cid)"

echo '2. Entry'
entry=$(ask get "$@" -- "$pi")
tip=$(field "$entry" tip)
echo "   ✓ version $(field "$entry" ver), tip $tip"

echo '3. Content'
if [ "$(field "$status" settings.content)" = external ]; then
  echo '   - the dataset holds CIDs alone; the content lies elsewhere'
else
  count=0
  seen=' '
  queue=$tip
  while [ -n "$queue" ]; do
    cid=${queue%% *}
    queue=${queue#"$cid"}
    queue=${queue# }
    case $seen in *" $cid "*) continue ;; esac
    seen="$seen$cid "
    case $cid in
      bafybei* | bafkrei* | Qm*) # a file: reading it to its end proves it
        cairn cat --cid "$@" "$cid" >/dev/null || not_accessible $?
        ;;
      *)
        value=$(ask cat --cid "$@" "$cid")
        queue="$queue $(links_of "$value")"
        queue=${queue# }
        queue=${queue% }
        ;;
    esac
    count=$((count + 1))
  done
  echo "   ✓ values and files: $count"
fi

echo '4. History'
if history=$(cairn history --json "$@" -- "$pi" 2>/dev/null); then
  echo "   ✓ versions that are kept: $(printf '%s\n' "$history" | grep -c .)"
elif [ $? -eq 10 ]; then
  echo '   ✓ a prune has let its versions go, but for the current one'
else
  ask history "$@" -- "$pi" >/dev/null
fi

echo '✓ Entity fully accessible!'

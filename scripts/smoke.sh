#!/bin/sh
# Checks a running service from outside: `smoke.sh [options] URL`. See usage below.
# Each check is a line, `ok  WHAT` or `FAILED  WHAT: WHY`; ends with 1 if one failed, 2 on wrong usage.
# The checks are functions that `check` calls by their names.
# shellcheck disable=SC2317
set -u

usage() {
  cat <<'TEXT'
usage: smoke.sh [--read-only] [--without-page] [--dataset NAME] URL

Checks a running Cairn service from outside, with curl. The token is taken from CAIRN_TOKEN; it needs the
right admin, or read with --read-only. Where the certificate is your own, give it as CURL_CA_BUNDLE.

  --read-only     change nothing: for a service that others use. Without it the checks write to a dataset
                  of their own, which is made if it is missing
  --dataset NAME  that dataset (smoke), or with --read-only the one that is read (main)
  --without-page  the page at / is switched off

What is written is deleted at the end, however it ends. What stays is the dataset, empty, with its history,
its snapshots, and one CAR in the backups folder: the service prunes them as it does all others.
TEXT
}

wrong_usage() {
  usage >&2
  exit 2
}

writes=yes page=yes dataset='' url=''
while [ $# -gt 0 ]; do
  case $1 in
    --read-only) writes=no ;;
    --without-page) page=no ;;
    --dataset)
      [ $# -ge 2 ] || wrong_usage
      dataset=$2
      shift ;;
    -h | --help)
      usage
      exit ;;
    -*) wrong_usage ;;
    *)
      [ -z "$url" ] || wrong_usage
      url=${1%/} ;;
  esac
  shift
done
[ -n "$url" ] || wrong_usage
[ -n "$dataset" ] || { [ $writes = yes ] && dataset=smoke || dataset=main; }

umask 077
work=$(mktemp -d) || exit 1
failed=0 passed=0 why='' status='' run="smoke-$(date +%s)-$$" made='' streams=''
at=/v1/datasets/$dataset

finish() {
  for one in $streams; do kill "$one" 2>/dev/null; done
  for one in $made; do ask DELETE "$at/entities/$one" >/dev/null; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# Neither the token nor a false one may be seen in the list of processes. Settings of whoever runs this do
# not count (--disable).
: >"$work/nobody"
printf 'header = "Authorization: Bearer cairn_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"\n' >"$work/stranger"
if [ -n "${CAIRN_TOKEN:-}" ]; then
  printf 'header = "Authorization: Bearer %s"\n' "$CAIRN_TOKEN" >"$work/me"
else
  : >"$work/me"
fi
who=me

# --- Asking -----------------------------------------------------------------

# ask METHOD PATH [OPTION OF CURL ...]: sets `status`, and leaves body and headers in files.
ask() {
  method=$1 path=$2
  shift 2
  if [ "$method" = HEAD ]; then set -- --head "$@"; else set -- --request "$method" "$@"; fi
  status=$(curl --disable --silent --show-error --max-time 60 --config "$work/$who" "$@" \
    --output "$work/body" --dump-header "$work/headers" --write-out '%{http_code}' \
    "$url$path" 2>"$work/error")
  code=$?
  [ $code -eq 0 ] && return
  why="$method $path: $(head -n 1 "$work/error")"
  [ -s "$work/error" ] || why="$method $path: curl ended with $code"
  return 1
}

send() { ask "$1" "$2" --header 'content-type: application/json' --data "$3"; }

# expect STATUS...: what was asked is answered with one of these.
expect() {
  for one in "$@"; do [ "$status" = "$one" ] && return; done
  why="$method $path is answered with $status$(problem), not $1"
  return 1
}

problem() {
  text=$(text_of code)
  [ -z "$text" ] || printf ' (%s: %s)' "$text" "$(text_of detail)"
}

# The last text, or number or word, of that name in a JSON answer of one line.
text_of() { sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p" "$work/body" | head -n 1; }
value_of() { sed -n "s/.*\"$1\":\\([0-9a-z]*\\).*/\\1/p" "$work/body" | head -n 1; }

header() {
  tr -d '\r' <"$work/headers" |
    awk -v name="$1:" 'tolower($1) == name { sub(/^[^ ]* */, ""); value = $0 } END { print value }'
}

has() {
  grep -qF -- "$1" "$work/body" && return
  why="the answer of $method $path lacks ${2:-$1}"
  return 1
}

has_header() {
  value=$(header "$1")
  case $value in *"$2"*) [ -n "$value" ] && return ;; esac
  why="$method $path has the header $1: ${value:-none}, not $2"
  return 1
}

is_problem() {
  expect "$1" && has_header content-type application/problem+json && has "\"code\":\"$2\""
}

# --- Telling ----------------------------------------------------------------

check() {
  what=$1
  shift
  why=''
  if "$@"; then
    passed=$((passed + 1))
    echo "ok  $what"
  else
    failed=$((failed + 1))
    # What a service says may be anything: nothing of it steers the terminal.
    printf '%s\n' "FAILED  $what: ${why:-it is not so}" | tr -d '\000-\011\013-\037\177'
    return 1
  fi
}

sum_up() {
  echo "$passed ok, $failed failed"
  exit $((failed > 0))
}

# --- For everybody, and who else may ----------------------------------------

lives() { ask GET /livez && expect 200 && has '"live"'; }
ready() { ask GET /readyz && expect 200 && has '"ready"'; }
judged() { ask GET /healthz && expect 200 503 && has '"status"'; }

page_is_there() {
  ask GET / && expect 200 && has_header content-type text/html || return
  grep -qi '<html' "$work/body" || { why='the answer is no page' && return 1; }
  has_header content-security-policy "default-src 'none'"
}

has_openapi() { ask GET /openapi.json && expect 200 && has '"openapi":"3' && has '"/v1/datasets/{dataset}/entities"'; }
not_sniffed() { ask GET /livez && has_header x-content-type-options nosniff && [ -n "$(header x-request-id)" ]; }

has_tokens() {
  who=nobody
  ask GET /v1/datasets
  who=me
  [ "$status" = 401 ]
}

refused() {
  who=$1
  ask GET "$at/entities" && is_problem 401 unauthenticated && has_header www-authenticate Bearer
  set -- $?
  who=me
  return "$1"
}

admitted() {
  [ -n "${CAIRN_TOKEN:-}" ] || { why='the service asks for one: set CAIRN_TOKEN' && return 1; }
  ask GET /v1/datasets && expect 200
}

# --- Reading ----------------------------------------------------------------

not_found() { ask GET /smoke-no-such-address && is_problem 404 not_found; }
no_entity() { ask GET "$at/entities/$run-never" && expect 404; }
not_allowed() { ask DELETE /livez && is_problem 405 method_not_allowed && has_header allow GET; }
bad_query() { ask GET "$at/entities?limit=none" && is_problem 400 usage; }
has_metrics() { ask GET /metrics && expect 200 && has cairn_build_info && has 'cairn_store_up 1'; }
has_dataset() { ask GET "$at" && expect 200 && has '"total_count"'; }
has_health() { ask GET "$at/health" && expect 200 && has '"checks"'; }
has_coverage() { ask GET "$at/coverage" && expect 200; }
has_automation() { ask GET "$at/automation" && expect 200; }

# walk QUERY PAGES: the ids of so many pages at most, in `walked`, each greater than the one before it.
walk() {
  : >"$work/walked"
  cursor='' left=$2
  while [ "$left" -gt 0 ]; do
    left=$((left - 1))
    ask GET "$at/entities?order=asc&$1" --get ${cursor:+--data-urlencode "cursor=$cursor"} && expect 200 || return
    { cat "$work/body"; echo; } | tr '{' '\n' | sed -n 's/^"pi":"\([^"]*\)".*/\1/p' >>"$work/walked"
    cursor=$(text_of next_cursor)
    [ -n "$cursor" ] || break
  done
  LC_ALL=C sort -u -c "$work/walked" 2>/dev/null || { why='an id came twice, or out of order' && return 1; }
}

pages_by_cursor() { walk limit=2 4; }

# --- Writing ----------------------------------------------------------------

makes_dataset() { send PUT "$at" '{}' && expect 200 201; }

write_one() {
  send PUT "$at/entities/$run-$1" "{\"value\":{\"run\":\"$run\",\"n\":$1}}" && expect 201 || return
  made="$made $run-$1"
}

writes_five() {
  ask GET "$at/checkpoint" && expect 200 || return
  begin=$(value_of next)
  for n in 1 2 3 4 5; do write_one "$n" || return; done
}

reads_back() {
  ask GET "$at/entities/$run-1/content" && expect 200 && has "\"run\":\"$run\"" || return
  ask GET "$at/entities/$run-1" && expect 200 && has '"ver":1' || return
  etag=$(header etag)
  [ -n "$etag" ] || { why='an entity has no ETag' && return 1; }
  ask GET "$at/entities/$run-1" --header "If-None-Match: $etag" && expect 304
}

keeps_history() {
  send PUT "$at/entities/$run-1" '{"value":"the second"}' && expect 200 201 || return
  ask GET "$at/entities/$run-1/history" && expect 200 && has '"ver":2' && has '"ver":1'
}

refuses_old_view() { send PUT "$at/entities/$run-1" '{"value":0,"expect_ver":1}' && expect 409; }
refuses_nonsense() { send POST "$at/entries" '{"entries":' && expect 400; }

# The length alone is refused: nothing is sent.
refuses_large() {
  ask POST "$at/entries" --header 'content-type: application/json' \
    --header 'content-length: 1000000000000' --data x && expect 413
}

walks_what_it_wrote() {
  walk "limit=2&prefix=$run-" 9 || return
  [ "$(tr '\n' ' ' <"$work/walked")" = "$run-1 $run-2 $run-3 $run-4 $run-5 " ] && return
  why="the pages have $(tr '\n' ' ' <"$work/walked")"
  return 1
}

# The entries of a stream so far, a line each: its id, and of which entity it is.
entries_in() {
  awk '/^id:/ { id = $2 } /^data:.*"pi"/ { sub(/.*"pi":"/, ""); sub(/".*/, ""); print id, $0 }' "$1"
}

# follow FILE COUNT QUERY [OPTION ...]: so many entries of the stream of changes, within ten seconds.
follow() {
  file=$1 count=$2 query=$3
  shift 3
  : >"$file"
  curl --disable --silent --no-buffer --max-time 15 --config "$work/me" "$@" "$url$at/changes?$query" >"$file" &
  stream=$!
  streams="$streams $stream"
  tries=100
  came=0
  while [ "$came" -lt "$count" ] && [ "$tries" -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
    came=$(entries_in "$file" | grep -c .)
  done
  kill "$stream" 2>/dev/null
  wait "$stream" 2>/dev/null
  [ "$came" -ge "$count" ] && return
  why="of $count changes $came came"
  return 1
}

follows() {
  follow "$work/events" 6 "since=$begin" || return
  seen=$(entries_in "$work/events" | grep -c " $run-")
  [ "$seen" -ge 6 ] || { why="of its own 6 changes $seen came" && return 1; }
}

goes_on() {
  last=$(entries_in "$work/events" | sed -n '3s/ .*//p')
  wanted=$(entries_in "$work/events" | sed -n 4p)
  follow "$work/resumed" 1 "since=$begin" --header "Last-Event-ID: $last" || return
  [ "$(entries_in "$work/resumed" | sed -n 1p)" = "$wanted" ] && return
  why="behind $last comes $(entries_in "$work/resumed" | sed -n 1p), not $wanted"
  return 1
}

# job KIND: starts it and waits for its end.
job() {
  send POST "$at/jobs" "{\"kind\":\"$1\"}" && expect 202 || return
  id=$(text_of id) tries=30
  while [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    ask GET "$at/jobs/$id?wait_ms=10000" && expect 200 || return
    case $(text_of state) in
      succeeded) return ;;
      failed | cancelled)
        why="the job $(text_of state): $(text_of message)"
        return 1 ;;
    esac
  done
  why="the job $id does not end"
  return 1
}

builds() {
  job build || return
  ask GET "$at/snapshots?limit=1" && expect 200 && has '"seq"' || return
  ask GET "$at/checkpoint" && has '"recent_count":0' 'a folded chain'
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"
  elif command -v shasum >/dev/null; then shasum -a 256 "$1"
  else openssl dgst -sha256 -r "$1"; fi | cut -d ' ' -f 1
}

exports() {
  job export || return
  ask GET "$at/backups" && expect 200 || return
  # The newest is the first.
  car=$(tr '{' '\n' <"$work/body" | sed -n 's/.*"filename":"\([^"]*\)".*/\1/p' | head -n 1)
  told=$(tr '{' '\n' <"$work/body" | grep -F "\"$car\"" | sed -n 's/.*"sha256":"\([0-9a-f]*\)".*/\1/p')
  if [ -z "$car" ] || [ -z "$told" ]; then why='no CAR is listed' && return 1; fi
}

downloads() {
  ask GET "$at/backups/$car" && expect 200 || return
  found=$(sha256 "$work/body")
  [ "$found" = "$told" ] && return
  why="the sha256 of $car is $found, not $told"
  return 1
}

deletes() {
  for n in 1 2 3 4 5; do ask DELETE "$at/entities/$run-$n" && expect 200 || return; done
  made=''
  ask GET "$at/entities/$run-1" && expect 404
}

# --- The checks, in their order ---------------------------------------------

check "the service answers at $url" lives || sum_up
check 'it is ready' ready
check 'it says how its data is' judged
[ $page = no ] || check 'the page at /' page_is_there
check 'the API document' has_openapi
check 'answers are not guessed at, and have an id' not_sniffed

if has_tokens; then
  check 'without a token it refuses' refused nobody
  check 'with a wrong token it refuses' refused stranger
  check 'with the token it answers' admitted || sum_up
fi

check 'an unknown address is a problem, 404' not_found
check 'a method that an address lacks is a problem, 405' not_allowed
check 'metrics' has_metrics

if [ $writes = yes ]; then
  check "the dataset $dataset is there, or made" makes_dataset || sum_up
fi
check 'the dataset' has_dataset || sum_up
check 'an entity that is not there, 404' no_entity
check 'a wrong parameter is a problem, 400' bad_query
check 'what is well with it, and what is not' has_health
check 'what could be brought back' has_coverage
check 'what runs by itself' has_automation

if [ $writes = no ]; then
  check 'a walk over pages' pages_by_cursor
  sum_up
fi

check 'writes' writes_five || sum_up
check 'reads what was written, and 304 the second time' reads_back
check 'keeps the version before' keeps_history
check 'refuses a write from an old view, 409' refuses_old_view
check 'refuses what is no JSON, 400' refuses_nonsense
check 'refuses what is too large, 413' refuses_large
check 'a walk over pages finds each once' walks_what_it_wrote
check 'the stream of changes has all of them' follows
check 'the stream goes on where it broke off' goes_on
check 'builds a snapshot' builds
check 'exports a CAR' exports && check 'its download has its sha256' downloads
check 'deletes' deletes
sum_up

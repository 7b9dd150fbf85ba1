#!/bin/sh
# What a container begins with: `serve` and all other commands of Cairn, and `scrape-token FILE`.
#
# Within a container the service listens to more than loopback, which it does only with a token. So before
# its first start one is made, for ADMIN_TOKEN (DATA_DIR/admin.token): who may read that file could read
# the data beside it anyway.
set -eu
umask 077
mkdir -p -- "${TMPDIR:-/tmp}"

has_tokens() {
  # A file that cannot be read is for `serve` to complain about.
  list=$(cairn token list --json) || return 0
  case $list in *'"sha256"'* | *'"id"'*) return 0 ;; esac
  return 1
}

# make_token FILE MODE NAME [OPTION ...]: into a file that is there whole or not at all. A token that nobody
# could read must not stay: it would lock everybody out.
make_token() {
  file=$1 mode=$2 name=$3
  shift 2
  : >"$file.new"
  chmod -- "$mode" "$file.new"
  if why=$(cairn token create "$@" 2>&1 >"$file.new") && mv -f -- "$file.new" "$file"; then return; fi
  printf '%s\n' "The token $name cannot be put into $file: $why" >&2
  rm -f -- "$file.new"
  cairn token revoke "$name" >/dev/null 2>&1 || true
  exit 1
}

first_token() {
  file=${ADMIN_TOKEN:-${CAIRN_DATA_DIR:-.}/admin.token}
  if has_tokens; then
    # A start that was killed had made it, but not put it where it belongs.
    [ ! -s "$file.new" ] || mv -f -- "$file.new" "$file"
    return
  fi
  make_token "$file" 0600 admin --right admin
  printf '%s\n' "The first token, with all rights, is in $file." >&2
}

# For Prometheus: readable by its group, and made anew when it is not known any more.
scrape_token() {
  known=$(cairn token list --json)
  case $known in
    *'"name":"prometheus"'*)
      [ -s "$1" ] && return
      cairn token revoke prometheus ;;
  esac
  make_token "$1" 0640 prometheus --right read
}

case ${1:-} in
  serve) first_token ;;
  scrape-token)
    scrape_token "$2"
    exit ;;
esac
exec cairn "$@"

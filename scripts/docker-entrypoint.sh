#!/bin/sh
# What a container begins with: `serve` and all other commands of Cairn, and `scrape-token FILE`.
#
# Within a container the service listens to more than loopback, which it does only with a token. So before
# its first start one is made, for ADMIN_TOKEN (DATA_DIR/admin.token): who may read that file could read
# the data beside it anyway.
set -eu
umask 077
mkdir -p "${TMPDIR:-/tmp}"

has_tokens() {
  # A file that cannot be read is for `serve` to complain about.
  list=$(cairn token list --json) || return 0
  case $list in *'"sha256"'* | *'"id"'*) return 0 ;; esac
  return 1
}

# Into a file that is there whole or not at all.
make_token() {
  file=$1 mode=$2
  shift 2
  cairn token create "$@" >"$file.new" 2>/dev/null
  chmod "$mode" "$file.new"
  mv -f "$file.new" "$file"
}

first_token() {
  has_tokens && return
  file=${ADMIN_TOKEN:-${CAIRN_DATA_DIR:-.}/admin.token}
  make_token "$file" 0600 admin --right admin
  echo "The first token, with all rights, is in $file." >&2
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

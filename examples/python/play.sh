#!/bin/sh
# Starts the service on a folder, plays, and ends the service. Of your own programs only the last line is needed,
# and a service that runs anyway.
#
#   sh examples/python/play.sh [NAME]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
port=${PORT:-3000}
export CAIRN_URL="http://127.0.0.1:$port" PYTHONPATH="$root/clients/python"

"$root/bin/cairn" serve --data-dir "${DATA_DIR:-game-data}" --port "$port" --log-level error &
service=$!
trap 'kill $service; wait $service || true' EXIT
until curl -fs -o /dev/null "$CAIRN_URL/readyz"; do
  kill -0 $service
  sleep 0.1
done

python3 "$root/examples/python/game.py" "$@"

/** Programs that the documents name and that a test cannot have as they are: each does what it is for, here. */

/** `cairn serve` has a terminal of its own: it goes on while the next commands are run. */
const CAIRN = `#!/bin/sh
[ "\${1-}" = serve ] || exec "$NODE" "$CAIRN" "$@"
touch "$RUN/served" "$RUN/pids"
"$NODE" "$CAIRN" "$@" >>"$RUN/served" 2>>"$RUN/service.log" &
echo $! >>"$RUN/pids"
until [ "$(wc -l <"$RUN/served")" -eq "$(wc -l <"$RUN/pids")" ]; do kill -0 $! && sleep 0.1; done
`

/** Who follows a stream stops at some time. */
const CURL = `#!/bin/sh
case " $* " in
  *' -fsSN '* | *' -N '*) /usr/bin/curl --max-time 3 "$@" || test $? -eq 28 ;;
  *) exec /usr/bin/curl "$@" ;;
esac
`

/** The node of the test. */
const IPFS = `#!/bin/sh
port=\${KUBO_URL##*:}
IPFS_PATH="$RUN/ipfs" exec "$KUBO_BIN" --api "/ip4/127.0.0.1/tcp/$port" "$@"
`

/** The other machine is a folder, and who logs in there is in it. */
const SSH = `#!/bin/sh
shift
mkdir -p "$RUN/other" && cd "$RUN/other" && exec sh -c "$*"
`

/** The last two arguments, with the other machine as a folder. */
const RSYNC = `#!/bin/sh
set -eu
[ "$1" = -a ] && shift
other() { case "$1" in *:*) echo "$RUN/other/\${1#*:/}" ;; *) echo "$1" ;; esac; }
from=$(other "$1") to=$(other "$2")
mkdir -p "$to"
cp -p $from "$to"
`

/** As the one of age, whose keys these are. */
const AGE_KEYGEN = `#!/bin/sh
set -eu
exec node --input-type=module -e '
import { readFileSync, writeFileSync } from "node:fs"
const { generateIdentity, identityToRecipient } = await import(process.env.ROOT + "/node_modules/age-encryption/dist/index.js")
const [flag, ...files] = process.argv.slice(1)
if (flag === "-o") writeFileSync(files[0], await generateIdentity() + "\\n")
for (const file of flag === "-y" ? files : [])
  console.log(await identityToRecipient(readFileSync(file, "utf8").trim()))
' -- "$@"
`

/** Takes what a mail has. */
const MAIL = `#!/bin/sh
cat >>"$RUN/mail"
`

/** To the other machine, which is a folder. */
const RCLONE = `#!/bin/sh
mkdir -p "$RUN/other" && cp -p "$2" "$RUN/other"
`

/** The service that runs, and no other process of this machine. */
const PGREP = `#!/bin/sh
tail -n 1 "$RUN/pids"
`

type Tool = 'cairn' | 'curl' | 'ipfs' | 'ssh' | 'rsync' | 'pgrep' | 'age-keygen' | 'mail' | 'rclone'

export const TOOLS: Readonly<Record<Tool, string>> = {
  cairn: CAIRN,
  curl: CURL,
  ipfs: IPFS,
  ssh: SSH,
  rsync: RSYNC,
  pgrep: PGREP,
  'age-keygen': AGE_KEYGEN,
  mail: MAIL,
  rclone: RCLONE,
}

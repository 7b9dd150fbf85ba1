/**
 * Runs the commands of a page as they stand, in a folder of their own, with what a server has around them:
 * `cairn`, an `ipfs` that asks the node of the test, and a `systemctl` that does to the service what systemd would.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { kuboBinary } from '../helpers/kubo-node.ts'
import type { Sandbox } from '../cli/sandbox.ts'
import { ROOT } from './compose-tool.ts'

const run = promisify(execFile)

const SYSTEMCTL = `#!/bin/sh
set -eu
cd "$PLACE"
echo "$*" >>systemctl.log
begin() {
  : >served
  "$NODE" "$CAIRN" serve >served 2>>service.log &
  echo $! >pid
  until [ -s served ]; do kill -0 "$(cat pid)" && sleep 0.1; done
}
finish() {
  [ -s pid ] || return 0
  kill -TERM "$(cat pid)" 2>/dev/null || return 0
  while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.1; done
  : >pid
}
case "$*" in
  daemon-reload) ;;
  'start cairn' | 'enable --now cairn.service '*) [ -s pid ] || begin ;;
  'stop cairn') finish ;;
  'try-restart cairn.service') finish; begin ;;
  *) exit 1 ;;
esac
`

export interface Place {
  readonly dir: string
  readonly env: Record<string, string>
  /** The output of a script that must succeed. */
  readonly shell: (script: string) => Promise<string>
}

interface PlaceOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The address of a node. */
  readonly node?: string
}

export async function place(
  box: Sandbox,
  name: string,
  { env: more = {}, node }: PlaceOptions = {},
): Promise<Place> {
  const dir = box.path(name)
  const tools = join(dir, 'tools')
  await mkdir(tools, { recursive: true })
  const put = async (tool: string, text: string): Promise<void> => {
    await writeFile(join(tools, tool), text)
    await chmod(join(tools, tool), 0o755)
  }
  await put('systemctl', SYSTEMCTL)
  if (node !== undefined) {
    const { hostname, port } = new URL(node)
    const api = `/ip4/${hostname}/tcp/${port}`
    await put('ipfs', `#!/bin/sh\nexec "${await kuboBinary()}" --api=${api} "$@"\n`)
  }
  await symlink(box.bin(), join(tools, 'cairn'))
  await symlink(process.execPath, join(tools, 'node'))
  const env = {
    ...box.env,
    PATH: `${tools}:/usr/bin:/bin`,
    NODE: process.execPath,
    CAIRN: box.bin(),
    KIT: join(ROOT, 'scripts'),
    PLACE: dir,
    ...more,
  }
  onTestFinished(async () => {
    const pid = Number(await readFile(join(dir, 'pid'), 'utf8').catch(() => ''))
    if (pid > 0) end(pid)
  })
  return {
    dir,
    env,
    shell: async (script) => {
      const { stdout } = await run('sh', ['-euc', script], { cwd: dir, env, maxBuffer: 16 << 20 })
      return stdout
    },
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** The commands of a part of a page. */
export function commandsOf(text: string): string {
  return [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, code = '']) => code).join('\n')
}

/** From a heading to the next one of its rank. */
export function chapter(page: string, heading: string): string {
  const rank = /^#+/.exec(heading)?.[0] ?? ''
  const at = page.indexOf(`\n${heading}\n`)
  if (at < 0) throw new Error(`there is no "${heading}"`)
  const after = page.indexOf(`\n${rank} `, at + heading.length)
  return page.slice(at, after < 0 ? undefined : after)
}

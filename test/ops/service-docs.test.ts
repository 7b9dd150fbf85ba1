/**
 * docs/SERVICE.md and "As a service" of the README: what they tell people to type is run as it stands, in its
 * order, by a shell, against the real service and a real node.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { SETTING_NAMES } from '../../src/config/schema.ts'
import { ERROR_CODES } from '../../src/errors.ts'
import { freePort } from '../helpers/free-port.ts'
import { startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { CERT_1, KEY_1 } from '../helpers/tls.ts'
import { Sandbox } from '../cli/sandbox.ts'

const run = promisify(execFile)
const read = (path: string): Promise<string> =>
  readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
const page = await read('docs/SERVICE.md')

let sandbox: Sandbox
let node: KuboNode

beforeAll(async () => {
  ;[sandbox, node] = await Promise.all([Sandbox.make(), startKuboNode()])
})

afterAll(async () => {
  await node.dispose()
  await sandbox.remove()
})

const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code = '']) => code,
  )

/** A terminal of its own for `cairn serve`: it goes on while the next commands are run. */
const CAIRN = `#!/bin/sh
[ "$1" = serve ] || exec "$NODE" "$CAIRN" "$@"
touch served pids
"$NODE" "$CAIRN" "$@" >>served 2>>service.log &
echo $! >>pids
until [ "$(wc -l <served)" -eq "$(wc -l <pids)" ]; do kill -0 $! && sleep 0.1; done
`

/** Who follows a stream stops at some time. */
const CURL = `#!/bin/sh
case " $* " in
  *' -fsSN '*) ;;
  *' -N '*) ;;
  *) exec /usr/bin/curl "$@" ;;
esac
/usr/bin/curl --max-time 3 "$@" || test $? -eq 28
`

/** What systemd does with the unit: to the service that was started first, or last. */
const SYSTEMCTL = `#!/bin/sh
set -eu
lines() { grep -c "$1" service.log || true; }
told() { until [ "$(lines "$1")" -gt "$2" ]; do sleep 0.1; done; }
case "$1 $2" in
  'reload cairn')
    before=$(lines '"settings.reloaded"')
    kill -HUP "$(head -n 1 pids)"
    told '"settings.reloaded"' "$before" ;;
  'stop cairn')
    before=$(lines '"service.stopped"')
    kill -TERM "$(head -n 1 pids)"
    told '"service.stopped"' "$before" ;;
  'start cairn') exec cairn serve ;;
  *) exit 1 ;;
esac
`

interface Ran {
  readonly dir: string
  readonly stdout: string
  readonly log: string
}

/** Runs a page's commands in a folder of their own; whatever they have started is ended with the test. */
async function runShell(name: string, script: string): Promise<Ran> {
  const dir = sandbox.path(name)
  const tools = join(dir, 'tools')
  await mkdir(tools, { recursive: true })
  for (const [tool, text] of Object.entries({ cairn: CAIRN, curl: CURL, systemctl: SYSTEMCTL })) {
    await writeFile(join(tools, tool), text)
    await chmod(join(tools, tool), 0o755)
  }
  await symlink(process.execPath, join(tools, 'node'))
  await writeFile(join(dir, 'cert.pem'), CERT_1)
  await writeFile(join(dir, 'key.pem'), KEY_1)
  const [port, tlsPort] = [await freePort(), await freePort()]
  const here = script
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)
    .replaceAll('8443', String(tlsPort))
    .replaceAll('http://127.0.0.1:5001', node.url)
    .replaceAll('/etc/cairn/', `${dir}/`)
  const env = {
    ...sandbox.env,
    PATH: `${tools}:/usr/bin:/bin`,
    NODE: process.execPath,
    CAIRN: sandbox.bin(),
    CAIRN_PORT: String(port),
  }
  onTestFinished(async () => {
    const pids = await readFile(join(dir, 'pids'), 'utf8').catch(() => '')
    for (const pid of pids.split('\n').filter((line) => line !== '')) end(Number(pid))
  })
  const { stdout } = await run('sh', ['-euc', here], { cwd: dir, env, maxBuffer: 16 << 20 })
  return { dir, stdout, log: await readFile(join(dir, 'service.log'), 'utf8') }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

test('every command and call in docs/SERVICE.md works, one after another', async () => {
  const script = blocks(page, 'sh').join('\n')
  expect(script.match(/\bcurl\b/g)?.length).toBeGreaterThan(25)
  const { dir, stdout, log } = await runShell('service', script)
  for (const said of [
    '{"status":"ready"}',
    '"status":"appended"',
    '{"name":"Ada"}',
    'event: entry',
    '"reason":"user_disconnect:Ada"',
    '401',
    '{"status":"live"}',
    'cairn_recent_entries{dataset="main"}',
    '"covered":',
    '"state":"succeeded"',
    '"size_bytes":',
    '"kind":"restore","state":"succeeded"',
  ])
    expect({ said, is: stdout.includes(said) ? 'there' : stdout }).toEqual({ said, is: 'there' })
  expect(await readFile(join(dir, 'refused.json'), 'utf8')).toContain('"unauthenticated"')
  expect(log).toContain('Auto-save enabled (interval: 60s)')
  expect(log).toContain('Server shutdown complete.')
  const errors = log.split('\n').filter((line) => line.startsWith('{"level":"error"'))
  // That there is no drill of what was just restored is told to people, as it should be.
  expect(errors.filter((line) => !line.includes('"event":"health.changed"'))).toEqual([])
  expect(log).not.toMatch(/cairn_[a-z2-7]{20,}/)
})

test('the service in the README works as it stands', async () => {
  const readme = await read('README.md')
  const chapter = readme.slice(readme.indexOf('## As a service'), readme.indexOf('## On an IPFS'))
  const { stdout } = await runShell('readme', blocks(chapter, 'sh').join('\n'))
  expect(stdout).toContain('{"name":"Ada"}')
  expect(stdout).toContain('event: entry')
})

test('the settings that the page names are settings', () => {
  const [json = '{}'] = blocks(page, 'json')
  const named = [
    ...Object.keys(JSON.parse(json) as object),
    ...[...page.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, name = '']) => name),
  ]
  const fields = ['expect_ver', 'wait_ms']
  const known = new Set<string>([...SETTING_NAMES, ...Object.keys(ERROR_CODES), ...fields])
  expect(named.length).toBeGreaterThan(30)
  expect(named.filter((name) => !known.has(name))).toEqual([])
})

/** The examples for running `cairn serve`: its unit for systemd, and the rotation of its log. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram } from '../../src/cli/program.ts'
import { SERVICE_SETTINGS } from '../../src/config/service-settings.ts'
import { debianRoot } from '../helpers/debian.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { SCRIPTS } from './kit.ts'

const run = promisify(execFile)
const example = (name: string): Promise<string> => readFile(join(SCRIPTS, 'examples', name), 'utf8')

let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
})

afterAll(() => box.remove())

/** The values of a unit file by their names, the last of each. */
function valuesOf(unit: string): ReadonlyMap<string, string> {
  const lines = unit.matchAll(/^(\w+)=(.*)$/gm)
  return new Map([...lines].map(([, name = '', value = '']) => [name, value]))
}

test('the unit starts what there is, and waits for longer than the service takes to end', async () => {
  const unit = valuesOf(await example('systemd/cairn.service'))
  const [path = '', ...args] = (unit.get('ExecStart') ?? '').split(' ')
  expect(path).toMatch(/\/bin\/cairn$/)
  let called = ''
  const program = buildProgram(({ name }) => {
    called = name
    return Promise.resolve()
  })
  await program.parseAsync(args, { from: 'user' })
  expect(called).toBe('serve')
  expect(unit.get('ExecReload')).toBe('/bin/kill -HUP $MAINPID')
  const deadline = SERVICE_SETTINGS.shutdown_deadline.fallback({ data_dir: '', chain_limit: 1 })
  expect(Number.parseInt(unit.get('TimeoutStopSec') ?? '', 10) * 1000).toBeGreaterThan(
    deadline + 5000,
  )
})

test('it may do as little as the units of the jobs', async () => {
  const unit = valuesOf(await example('systemd/cairn.service'))
  const common = valuesOf(await example('systemd/cairn-.service.d/common.conf'))
  const own = new Set([
    'Type',
    'TimeoutStartSec',
    'Nice',
    'IOSchedulingClass',
    'After',
    'OnFailure',
  ])
  for (const [name, value] of common)
    if (!own.has(name)) expect([name, unit.get(name)]).toEqual([name, value])
})

test('after a rotation the service goes on in a new file, and no line is lost', async () => {
  const logs = box.path('logs')
  await mkdir(logs, { mode: 0o700 })
  const log = join(logs, 'service.log')
  const child = spawn(process.execPath, [box.bin(), 'serve', '--port', '0', '--log-file', log], {
    cwd: box.dir,
    env: box.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  try {
    const ended = exited.then(() => Promise.reject(new Error('The service did not start.')))
    await Promise.race([once(child.stdout, 'data'), ended])
    const before = await readFile(log, 'utf8')
    await rotate(logs, child)
    await expect
      .poll(() => readFile(log, 'utf8').catch(() => ''), { timeout: 10_000 })
      .toContain('"event":"settings.reloaded"')
    expect((await readdir(logs)).sort()).toEqual(['service.log', 'service.log.1'])
    const rotated = await readFile(`${log}.1`, 'utf8')
    expect(rotated.startsWith(before)).toBe(true)
    child.kill('SIGTERM')
    await exited
    expect(child.exitCode).toBe(0)
    expect(await readFile(log, 'utf8')).toContain('Server shutdown complete')
    expect(await readFile(`${log}.1`, 'utf8')).toBe(rotated)
  } finally {
    child.kill('SIGKILL')
    await exited
  }
})

/** The real logrotate with the example, but for places, users, and how the service is told. */
async function rotate(logs: string, { pid }: ChildProcess): Promise<void> {
  const text = (await example('logrotate.conf'))
    .replaceAll('/var/log/cairn', logs)
    .replaceAll(/^ *su .*$/gm, '')
    .replaceAll(/(create \d+) cairn cairn/g, '$1')
    .replace(/systemctl kill .*/, `kill -HUP ${String(pid)}`)
  const conf = box.path('logrotate.conf')
  await writeFile(conf, text, { mode: 0o600 })
  const root = await debianRoot('logrotate', 'libpopt0')
  const [triplet = ''] = await readdir(join(root, 'usr', 'lib')).then((names) =>
    names.filter((name) => name.includes('-linux-')),
  )
  await run(
    join(root, 'usr', 'sbin', 'logrotate'),
    ['--force', '--state', box.path('logrotate.state'), conf],
    { env: { ...process.env, LD_LIBRARY_PATH: join(root, 'usr', 'lib', triplet) } },
  )
}

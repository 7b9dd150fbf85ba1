/** The ops kit on the embedded store: what each script prints, and how it ends. */
import { execFile } from 'node:child_process'
import { access, mkdir, readFile, readdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CID, TIME } from '../cli/sandbox.ts'
import { makeKit, parseJson, runIn, type Kit } from './kit.ts'

const run = promisify(execFile)
let kit: Kit

beforeAll(async () => {
  kit = await makeKit()
})

afterAll(() => kit.box.remove())

let made = 0

/** A store of its own with ten entities, and its environment. */
async function dataDir(count = 10): Promise<{ DATA_DIR: string }> {
  made += 1
  const env = { DATA_DIR: kit.box.path(`data-${made}`) }
  await append(env, 0, count)
  return env
}

async function append(env: { DATA_DIR: string }, from: number, to: number): Promise<void> {
  const lines = Array.from({ length: to - from }, (_, i) => `{"pi":"k-${from + i}","value":${i}}\n`)
  if (lines.length > 0) await kit.box.ok(['import', '-'], { env, input: lines.join('') })
}

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? ''

test('build-snapshot prints the CID alone; nothing new prints the same one', async () => {
  const env = await dataDir()
  const first = await kit.run('build-snapshot.sh', [], env)
  expect(first.code).toBe(0)
  expect(first.stdout.trimEnd()).toMatch(CID)
  expect(first.stderr).toContain('10 entities')
  const again = await kit.run('build-snapshot.sh', ['--quiet'], env)
  expect(again).toEqual({ code: 0, stdout: first.stdout, stderr: '' })
})

test('build-snapshot --json has the older fields, and SNAPSHOTS_DIR gets the older files', async () => {
  const env = await dataDir()
  const folder = kit.box.path('snapshots')
  const { stdout, code } = await kit.run('build-snapshot.sh', ['--json'], {
    ...env,
    SNAPSHOTS_DIR: folder,
  })
  expect(code).toBe(0)
  const record = parseJson(stdout)
  expect(record).toMatchObject({
    status: 'built',
    cid: expect.stringMatching(CID),
    seq: 1,
    ts: expect.stringMatching(TIME),
    count: 10,
  })
  expect(record['cid']).toBe(record['snapshot'])
  expect((await readdir(folder)).sort()).toEqual(['latest.json', 'snapshot-1.json'])
  expect(parseJson(await readFile(join(folder, 'latest.json'), 'utf8'))).toEqual(record)
  const plain = await kit.run('build-snapshot.sh', [], { ...env, SNAPSHOTS_DIR: folder })
  expect(plain.stdout).toBe(`${String(record['cid'])}\n`)
})

test('build-snapshot where there is no store makes none and prints nothing', async () => {
  const env = { DATA_DIR: kit.box.path('nowhere') }
  for (const args of [[], ['--json']]) {
    const { code, stdout, stderr } = await kit.run('build-snapshot.sh', args, env)
    expect({ code, stdout }).toEqual({ code: 10, stdout: '' })
    expect(stderr).not.toBe('')
  }
  await expect(access(env.DATA_DIR)).rejects.toThrow()
})

test('a script that is called by a link finds its cairn', async () => {
  const env = await dataDir()
  const link = kit.box.path('nightly')
  await symlink(join(kit.scripts, 'build-snapshot.sh'), link)
  const { code, stdout } = await runIn('/', link, ['--quiet'], env)
  expect(code).toBe(0)
  expect(stdout.trimEnd()).toMatch(CID)
})

test('without Node the hint says what to do', async () => {
  const bin = kit.box.path('bin-without-node')
  await mkdir(bin)
  for (const tool of ['sh', 'dirname', 'readlink']) {
    const { stdout } = await run('sh', ['-c', `command -v ${tool}`])
    await symlink(stdout.trim(), join(bin, tool))
  }
  const script = await readFile(join(kit.scripts, 'common.sh'), 'utf8')
  const folder = kit.box.path('no-node')
  await mkdir(folder)
  await writeFile(join(folder, 'common.sh'), script.replaceAll(/ \/\S+\/node/g, ''))
  const build = await readFile(join(kit.scripts, 'build-snapshot.sh'), 'utf8')
  await writeFile(join(folder, 'build-snapshot.sh'), build, { mode: 0o700 })
  const path = join(folder, 'build-snapshot.sh')
  const { code, stdout, stderr } = await runIn('/', path, [], { PATH: bin, NODE: '' })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain('put its folder into PATH')
})

test('a second run waits for the first, and goes on when LOCK_WAIT is over', async () => {
  const env = await dataDir(1)
  const began = performance.now()
  // As a first run would hold it.
  const first = run('flock', [join(kit.scripts, 'build-snapshot.sh'), 'sleep', '2'])
  await sleep(300)
  const [impatient, patient] = await Promise.all([
    kit.run('build-snapshot.sh', [], { ...env, LOCK_WAIT: '0' }),
    kit.run('build-snapshot.sh', [], env).then((done) => ({ ...done, at: performance.now() })),
  ])
  await first
  expect(impatient).toMatchObject({ code: 0, stderr: expect.stringContaining('beside it') })
  expect(patient).toMatchObject({ code: 0, stderr: expect.stringContaining('waiting for it') })
  expect(patient.at - began).toBeGreaterThan(2000)
  expect(patient.stdout).toBe(impatient.stdout)
})

test('export-car ends with the path of a whole CAR; --json is the sidecar', async () => {
  const env = { ...(await dataDir()), BACKUPS_DIR: kit.box.path('cars') }
  const first = await kit.run('export-car.sh', ['--keep', '3'], env)
  expect(first.code).toBe(0)
  const car = lastLine(first.stdout)
  expect(car.startsWith(env.BACKUPS_DIR)).toBe(true)
  await expect(kit.box.ok(['car', 'verify', car])).resolves.toContain('whole')
  const again = await kit.run('export-car.sh', ['--json'], env)
  const sidecar = parseJson(again.stdout)
  expect(sidecar).toMatchObject({
    status: 'already_exported',
    snapshot_cid: expect.stringMatching(CID),
    seq: expect.any(Number),
    timestamp: expect.stringMatching(/^\d{8}-\d{6}$/),
    filename: car.split('/').at(-1),
    path: car,
    size_bytes: expect.any(Number),
    cid_counts: {
      snapshot: 1,
      dag_nodes: expect.any(Number),
      events: 1,
      total: expect.any(Number),
    },
  })
})

test('a hook that fails is told by the exit code; the CAR is whole all the same', async () => {
  const env = await dataDir()
  const { code, stdout } = await kit.run('export-car.sh', ['--after', 'exit 3'], env)
  expect(code).toBe(16)
  await expect(access(lastLine(stdout))).resolves.toBeUndefined()
})

test('restore-from-car brings everything back on an empty machine, and is repeatable', async () => {
  const env = await dataDir()
  const cid = (await kit.run('build-snapshot.sh', ['--quiet'], env)).stdout.trimEnd()
  await append(env, 10, 12)
  const car = lastLine((await kit.run('export-car.sh', [], env)).stdout)
  const fresh = { DATA_DIR: kit.box.path('fresh') }

  const planned = await kit.run('restore-from-car.sh', [car, '--dry-run'], fresh)
  expect(parseJson(planned.stdout)).toMatchObject({ status: 'planned', restored: false })
  await expect(access(fresh.DATA_DIR)).rejects.toThrow()

  for (const status of ['restored', 'already_restored']) {
    const { code, stdout, stderr } = await kit.run('restore-from-car.sh', [car, cid], fresh)
    expect(code).toBe(0)
    expect(parseJson(stdout)).toMatchObject({
      status,
      snapshot_cid: cid,
      entity_count: 12,
      restored: true,
    })
    expect(stderr).toContain('12')
  }
  const rootOf = async (one: { DATA_DIR: string }): Promise<unknown> =>
    (await kit.box.json(['status'], { env: one }))['root']
  expect(await rootOf(fresh)).toBe(await rootOf(env))
  expect((await kit.run('verify-entity.sh', ['k-11'], fresh)).code).toBe(0)
})

test('restore-from-car refuses what is not whole, not asked for, or in the way', async () => {
  const env = await dataDir()
  const car = lastLine((await kit.run('export-car.sh', [], env)).stdout)
  const wrongCid = 'bafyreihltcnuuyqp2jm24aqydpnlj7b6w3ogwrplomrjtg5rifv44mmjey'
  const fresh = { DATA_DIR: kit.box.path('fresh-2') }
  const other = await kit.run('restore-from-car.sh', [car, wrongCid], fresh)
  expect(other.code).not.toBe(0)
  expect(other.stdout).toBe('')
  const inTheWay = await kit.run('restore-from-car.sh', [car], await dataDir(3))
  expect(inTheWay.code).toBe(13)
  await truncate(car, 500)
  const cut = await kit.run('restore-from-car.sh', [car], fresh)
  expect([4, 5]).toContain(cut.code)
  expect(cut.stdout).toBe('')
  expect((await kit.run('restore-from-car.sh', [], fresh)).code).toBe(2)
})

test('cleanup-old-snapshots keeps KEEP_LAST, and with DRY_RUN everything', async () => {
  const env = await dataDir()
  for (let i = 0; i < 4; i++) {
    await append(env, 10 + i, 11 + i)
    await kit.box.ok(['build-snapshot'], { env })
  }
  const count = async (): Promise<number> =>
    (await kit.box.ok(['snapshots', '--json'], { env })).trimEnd().split('\n').length
  const before = await count()
  const dry = await kit.run('cleanup-old-snapshots.sh', [], {
    ...env,
    KEEP_LAST: '2',
    DRY_RUN: 'true',
  })
  expect(dry.stdout).toContain('forget')
  expect(await count()).toBe(before)
  expect((await kit.run('cleanup-old-snapshots.sh', [], { ...env, KEEP_LAST: '2' })).code).toBe(0)
  expect(await count()).toBe(2)
})

test('an older CONTAINER_NAME is ignored with a note', async () => {
  const env = { ...(await dataDir()), CONTAINER_NAME: 'ipfs-node' }
  const { code, stderr } = await kit.run('build-snapshot.sh', [], env)
  expect(code).toBe(0)
  expect(stderr).toContain('CONTAINER_NAME is ignored')
})

test('every script passes shellcheck where there is one', async () => {
  const found = await run('sh', ['-c', 'command -v shellcheck || true'])
  const files = (await readdir(kit.scripts)).filter((name) => name.endsWith('.sh'))
  expect(files).toHaveLength(10)
  for (const name of files) await run('sh', ['-n', join(kit.scripts, name)])
  if (found.stdout !== '')
    await run('shellcheck', ['-x', '-P', '..', ...files], { cwd: kit.scripts })
})

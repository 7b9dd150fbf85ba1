import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseSidecar } from '../../src/backup/sidecar.ts'
import { CarFile } from '../../src/car/file.ts'
import { CID, ndjson, Sandbox } from './sandbox.ts'

const IS_ROOT_ON_LINUX = process.platform === 'linux' && process.getuid?.() === 0
let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
  const lines = Array.from(
    { length: 3000 },
    (_, i) => `{"pi":"e-${i}","value":{"i":${i},"text":"${'x'.repeat(100)}"}}\n`,
  )
  await box.ok(['import', '-'], { input: lines.join('') })
  await box.ok(['build-snapshot'])
  await box.ok(['put', 'late', '--value', '{"late":true}'])
})

afterAll(() => box.remove())

const inFolder = async (name: string): Promise<string[]> =>
  (await readdir(box.path(name)).catch((): string[] => [])).sort()

const last = (text: string): string => text.trimEnd().split('\n').at(-1) ?? ''

test('the last line on stdout is the path, --json is the sidecar, and sha256sum agrees', async () => {
  const stdout = await box.ok([], { bin: 'export-car', env: { BACKUPS_DIR: 'first' } })
  const path = last(stdout)
  expect(path).toMatch(/^first\/main-1-\d{8}-\d{6}-[a-z2-7]{8}\.car$/)
  const stem = basename(path, '.car')
  expect(await inFolder('first')).toEqual([`${stem}.car`, `${stem}.json`, `${stem}.sha256`])
  expect(
    execFileSync('sha256sum', ['-c', `${stem}.sha256`], { cwd: box.path('first') }).toString(),
  ).toBe(`${stem}.car: OK\n`)
  const sidecar = JSON.parse(await box.read(`first/${stem}.json`)) as Record<string, unknown>
  expect(sidecar).toMatchObject({
    snapshot_cid: expect.stringMatching(CID),
    checkpoint_cid: expect.stringMatching(CID),
    dataset: 'main',
    seq: 1,
    timestamp: stem.split('-').slice(2, 4).join('-'),
    filename: `${stem}.car`,
    path,
    size_bytes: (await stat(box.path(path))).size,
    total_count: 3001,
    recent_count: 1,
    next: 3001,
    content: 'full',
    since: null,
    car_version: 1,
    encrypted: false,
    cid_counts: { snapshot: 1, dag_nodes: 3001, events: 1, total: sidecar['blocks'] },
  })
  const again = await box.json(['export-car', '--backups-dir', 'first'])
  expect(again).toEqual({ status: 'already_exported', ...sidecar, removed: [] })
  for (const name of await inFolder('first'))
    expect((await stat(box.path('first', name))).mode & 0o777).toBe(0o600)
})

test('the same state gives the same bytes, in version 2, too', async () => {
  const hashes: unknown[] = []
  for (const more of [[], [], ['--v2'], ['--v2']])
    hashes.push(
      (await box.json(['export-car', '--backups-dir', 'same', '--force', ...more]))['sha256'],
    )
  expect(hashes[0]).toBe(hashes[1])
  expect(hashes[2]).toBe(hashes[3])
  expect(hashes[0]).not.toBe(hashes[2])
  expect(await inFolder('same')).toHaveLength(12)
})

test('--out - writes the CAR to stdout and nothing else', async () => {
  const file = await box.json(['export-car', '--out', 'out.car'])
  const child = spawn(process.execPath, [box.bin(), 'export-car', '--out', '-', '--json'], {
    cwd: box.dir,
    env: box.env,
  })
  const [chunks, told]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => told.push(chunk))
  expect((await once(child, 'close'))[0]).toBe(0)
  expect(Buffer.concat(chunks).equals(await readFile(box.path('out.car')))).toBe(true)
  expect(JSON.parse(Buffer.concat(told).toString())).toMatchObject({ sha256: file['sha256'] })
  expect((await box.fails(['export-car', '--out', 'out.car'])).exit).toBe(2)
  for (const more of [
    ['--keep', '3'],
    ['--after', 'true'],
  ])
    expect((await box.fails(['export-car', '--out', '-', ...more])).exit).toBe(2)
})

test('a reader of the stream that goes away makes it fail', async () => {
  const child = spawn(
    'sh',
    [
      '-c',
      `(${process.execPath} ${box.bin()} export-car --out -; echo $? >&2) | head -c 10 >/dev/null`,
    ],
    {
      cwd: box.dir,
      env: box.env,
    },
  )
  const told: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => told.push(chunk))
  await once(child, 'close')
  expect(last(Buffer.concat(told).toString())).toBe('130')
})

test('--keep removes older pairs only after a good new one', async () => {
  const args = ['export-car', '--backups-dir', 'kept', '--keep', '2']
  const paths: string[] = []
  for (let i = 0; i < 3; i++) {
    await box.ok(['put', 'late', '--value', `{"late":${i}}`])
    paths.push(last(await box.ok(args)))
  }
  await writeFile(box.path('kept', 'mine.car'), 'not ours')
  const stems = paths.map((path) => basename(path, '.car'))
  const names = (of: readonly string[]): string[] =>
    of.flatMap((stem) => [`${stem}.car`, `${stem}.json`, `${stem}.sha256`])
  expect(await inFolder('kept')).toEqual([...names(stems.slice(1)), 'mine.car'].sort())
  const failed = await box.fails([...args, '--since', 'nope'])
  expect(failed.exit).toBe(10)
  expect(await inFolder('kept')).toHaveLength(7)
  const report = await box.json([...args.slice(0, -1), '1', '--force'])
  expect(report['removed']).toEqual(paths.slice(1).reverse())
  expect((await box.fails(['export-car', '--keep', '0'])).exit).toBe(2)
})

test('a hook is given the file; its failure is 16, and the backup stays', async () => {
  const hook =
    'cp "$1" "copy.car" && echo "$CAIRN_SHA256  copy.car" > copy.sha256 && test -s "$CAIRN_SIDECAR" && echo from the hook'
  const good = await box.run(['export-car', '--backups-dir', 'hooked', '--after', hook])
  expect(good.code).toBe(0)
  expect(good.stdout.trimEnd()).toMatch(/^hooked\/.*\.car$/)
  expect(good.stderr).toContain('from the hook')
  execFileSync('sha256sum', ['-c', 'copy.sha256'], { cwd: box.dir })
  // It runs again when there is nothing new: the last time may have failed.
  const bad = await box.run([
    'export-car',
    '--backups-dir',
    'hooked',
    '--after',
    'exit 3',
    '--json',
  ])
  expect(bad.code).toBe(16)
  expect(JSON.parse(bad.stdout)).toMatchObject({ status: 'already_exported' })
  expect(JSON.parse(last(bad.stderr))).toMatchObject({ exit_error: { code: 'hook_failed' } })
  expect(await inFolder('hooked')).toHaveLength(3)
})

test('a hook has the store to itself', async () => {
  const hook = `"${process.execPath}" "${box.bin()}" compact --json > compacted.json`
  await box.ok(['export-car', '--backups-dir', 'alone', '--after', hook])
  expect(JSON.parse(await box.read('compacted.json'))).toMatchObject({ status: 'compacted' })
})

test('a hook that takes too long is ended with all that it started', async () => {
  const args = ['export-car', '--backups-dir', 'slow', '--after-timeout', '300ms', '--after']
  const { code } = await box.run([...args, 'sh -c "echo $$ > pid; sleep 60" & wait'])
  expect(code).toBe(16)
  const pid = Number(await box.read('pid'))
  await sleep(100)
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  if (process.platform === 'linux') expect(state).toMatch(/\) Z/)
  expect((await box.fails([...args.slice(0, 4), 'soon'])).exit).toBe(2)
})

test('an encrypted CAR says what is inside, and age recipients are checked before anything is done', async () => {
  const recipient = await identityToRecipient(await generateX25519Identity())
  const sidecar = await box.json([
    'export-car',
    '--backups-dir',
    'secret',
    '--encrypt-to',
    recipient,
  ])
  expect(sidecar).toMatchObject({ encrypted: true, encrypted_to: [recipient] })
  expect(sidecar['filename']).toMatch(/\.car\.age$/)
  expect(sidecar['car_sha256']).not.toBe(sidecar['sha256'])
  const stem = String(sidecar['filename']).replace('.car.age', '')
  execFileSync('sha256sum', ['-c', `${stem}.sha256`], { cwd: box.path('secret') })
  const plain = await box.json(['export-car', '--backups-dir', 'secret'])
  expect(plain).toMatchObject({ status: 'exported', sha256: sidecar['car_sha256'] })
  const bad = await box.fails([
    'export-car',
    '--backups-dir',
    'none',
    '--encrypt-to',
    'AGE-SECRET-KEY-1X',
  ])
  expect(bad.exit).toBe(2)
  expect(JSON.stringify(bad)).not.toContain('SECRET-KEY-1X')
  expect(await inFolder('none')).toEqual([])
})

test('the modes of content, a delta and a snapshot are in name and sidecar', async () => {
  await box.ok(['build-snapshot'])
  const sizes: number[] = []
  for (const mode of ['index', 'tips', 'full']) {
    const one = await box.json(['export-car', '--backups-dir', 'modes', '--content', mode])
    expect(one['content']).toBe(mode)
    sizes.push(Number(one['size_bytes']))
  }
  expect(sizes[0]).toBeLessThan(sizes[1] ?? 0)
  const snapshots = ndjson(await box.ok(['snapshots', '--json']))
  const cid = snapshots.find(({ seq }) => seq === 1)?.['cid']
  const delta = await box.json(['export-car', '--backups-dir', 'modes', '--since', 'seq:1'])
  expect(delta).toMatchObject({ since: cid, seq: 2 })
  expect(Number(delta['size_bytes'])).toBeLessThan((sizes[2] ?? 0) / 10)
  const old = await box.json(['export-car', '--backups-dir', 'modes', '--snapshot', 'seq:1'])
  expect(old).toMatchObject({ seq: 1, recent_count: 0, snapshot_cid: cid })
  expect((await box.fails(['export-car', '--content', 'all'])).exit).toBe(2)
})

test.runIf(IS_ROOT_ON_LINUX)(
  'a disk that is too small is found out before; if nobody could know, nothing is left',
  async () => {
    const dir = box.path('small')
    await mkdir(dir)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', dir])
    const env = { CAIRN_STORE: 'lmdb:large', CAIRN_BACKUPS_DIR: 'small' }
    try {
      await writeFile(box.path('large.bin'), randomBytes(3 << 20))
      await box.ok(['put', 'large', 'large.bin'], { env })
      await writeFile(join(dir, 'ballast'), new Uint8Array(6 << 20))
      const during = await box.fails(['export-car'], { env })
      expect([during.exit, during.code]).toEqual([15, 'no_space'])
      expect(await inFolder('small')).toEqual(['ballast'])
      await rm(join(dir, 'ballast'))
      await box.ok(['export-car'], { env })
      const before = await inFolder('small')
      await writeFile(join(dir, 'ballast'), new Uint8Array(1 << 20))
      const ahead = await box.fails(['export-car', '--force'], { env })
      expect([ahead.exit, ahead.code]).toEqual([15, 'no_space'])
      expect(ahead.hint).toContain('Nothing was written')
      expect(await inFolder('small')).toEqual(['ballast', ...before])
    } finally {
      execFileSync('umount', [dir])
      await rm(dir, { recursive: true })
    }
  },
)

test('a process that is killed anywhere leaves no half file under a final name', async () => {
  const dir = box.path('killed')
  const args = ['export-car', '--backups-dir', 'killed', '--force']
  await box.ok(args)
  const began = performance.now()
  await box.ok(args)
  const takes = performance.now() - began
  for (let i = 0; i < 8; i++) {
    const child = spawn(process.execPath, [box.bin(), ...args], { cwd: box.dir, env: box.env })
    const closed = once(child, 'close')
    await sleep(takes * (0.3 + (0.7 * i) / 8))
    child.kill('SIGKILL')
    await closed
  }
  for (const name of (await readdir(dir)).filter((one) => !one.startsWith('.'))) {
    const path = join(dir, name)
    if (name.endsWith('.json')) {
      const sidecar = parseSidecar(await readFile(path, 'utf8'))
      expect((await stat(join(dirname(path), sidecar.filename))).size).toBe(sidecar.size_bytes)
    }
    if (name.endsWith('.sha256')) execFileSync('sha256sum', ['-c', name], { cwd: dir })
    if (name.endsWith('.car')) await (await CarFile.open(path)).close()
  }
  expect(await box.json(args)).toMatchObject({ status: 'exported' })
})

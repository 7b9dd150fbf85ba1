/** The commands, as processes of their own: what they print, how they end, and what a SIGKILL leaves. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { expect, onTestFinished, test } from 'vitest'
import { readBackups } from '../../src/backup/folder.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { addBackup, filesIn, newSite, PART, useMinio, type Site } from './kit.ts'

const minio = useMinio()
const BACKUPS = '.cairn/backups'

async function newBox(): Promise<Sandbox> {
  const box = await Sandbox.make()
  onTestFinished(() => box.remove())
  return box
}

/** The keys, and where the copies are. */
const envOf = (site: Site): Record<string, string> => ({
  ...minio().env,
  CAIRN_OFFSITE: site.address,
})

function start(box: Sandbox, args: readonly string[], site: Site): ChildProcess {
  const child = spawn(process.execPath, [box.bin(), ...args], {
    cwd: box.dir,
    env: { ...box.env, ...envOf(site) },
    stdio: 'ignore',
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

test('an export copies by itself; a machine that is empty restores all of it by one command', async () => {
  const site = await newSite(minio())
  const [box, empty] = [await newBox(), await newBox()]
  const env = envOf(site)
  const text = { text: 'x'.repeat(200) }
  const lines = Array.from({ length: 500 }, (_, i) => JSON.stringify({ pi: `e-${i}`, value: text }))
  await box.ok(['import', '-'], { input: lines.join('\n') })
  await box.ok(['build-snapshot'])
  const base = await box.json(['export-car'], { env })
  expect(base['offsite']).toEqual({
    place: site.address,
    pushed: 1,
    sent_bytes: base['size_bytes'],
    forgotten: 0,
  })
  await box.ok(['put', 'late', '--value', '{"late":true}'])
  const delta = await box.json(['export-car', '--since', 'seq:1'], { env })
  expect(delta).toMatchObject({ offsite: { pushed: 1 } })
  const listed = await box.json(['offsite', 'list'], { env })
  expect(listed).toMatchObject({
    place: site.address,
    unfinished: [],
    damaged: [],
    copies: [
      { filename: delta['filename'], seq: 1, dataset: 'main', since: base['snapshot_cid'] },
      { filename: base['filename'], size: base['size_bytes'], place: site.address },
    ],
  })
  const restored = await empty.json(['restore-car', site.address], { env: { ...minio().env } })
  expect(restored).toMatchObject({ status: 'restored', total_count: 501, recent_count: 1 })
  expect(await empty.ok(['export'])).toBe(await box.ok(['export']))
  const [, named] = (listed['copies'] as { filepath: string }[]).map(({ filepath }) => filepath)
  const trial = ['restore-car', named ?? '', '--as', 'trial']
  expect(await empty.json(trial, { env: { ...minio().env } })).toMatchObject({ total_count: 500 })
  const drilled = await box.json(['drill', '--from', site.address], { env: { ...minio().env } })
  expect(drilled).toMatchObject({
    status: 'passed',
    total_count: 501,
    sources: (listed['copies'] as { filepath: string }[]).map(({ filepath }) => filepath),
    checks: expect.arrayContaining([expect.objectContaining({ name: 'entities', ok: true })]),
  })
  const again = await empty.json(['restore-car', site.address], { env: { ...minio().env } })
  expect(again['status']).toBe('already_restored')
})

test('wrong bytes in the bucket are refused, and nothing is changed', async () => {
  const site = await newSite(minio())
  const [box, empty] = [await newBox(), await newBox()]
  await box.ok(['put', 'a', '--value', '1'])
  const made = await box.json(['export-car'], { env: envOf(site) })
  const name = String(made['filename'])
  await site.inBucket(async (bucket) => {
    const got = await bucket.get(name)
    const bytes = Buffer.from(got?.bytes ?? [])
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    await bucket.put(name, bytes)
  })
  const env = { ...minio().env }
  expect(await empty.fails(['restore-car', site.direct], { env })).toMatchObject({
    exit: 4,
    code: 'invalid_car',
  })
  expect(await readdir(empty.path())).toEqual([])
  const verified = await box.json(['offsite', 'push', '--verify'], { env: envOf(site) })
  expect(verified).toMatchObject({ status: 'pushed', pushed: 1 })
  expect(await empty.json(['restore-car', site.direct], { env })).toMatchObject({ total_count: 1 })
})

test('an encrypted CAR goes there and comes back with its key', async () => {
  const site = await newSite(minio())
  const [box, empty] = [await newBox(), await newBox()]
  const identity = await generateX25519Identity()
  await box.ok(['put', 'a', '--value', '1'])
  const recipient = await identityToRecipient(identity)
  await box.ok(['export-car', '--encrypt-to', recipient], { env: envOf(site) })
  await empty.write('key.txt', `${identity}\n`)
  const env = { ...minio().env }
  const sealed = await empty.fails(['restore-car', site.direct], { env })
  expect(sealed).toMatchObject({ code: 'access_denied', message: expect.stringMatching(/s3:\/\//) })
  const open = ['restore-car', site.direct, '--identity', 'key.txt']
  expect(await empty.json(open, { env })).toMatchObject({ total_count: 1 })
})

test('where the bucket is away the export ends with 19, its CAR stays, and the next push makes up for it', async () => {
  const site = await newSite(minio())
  const box = await newBox()
  await box.ok(['put', 'a', '--value', '1'])
  const env = { ...envOf(site), CAIRN_OFFSITE: site.address.replace(site.bucketName, 'not-there') }
  expect(await box.fails(['export-car'], { env })).toMatchObject({
    exit: 19,
    code: 'offsite_failed',
    message: expect.stringMatching(/There is no bucket/),
  })
  const { backups } = await readBackups(box.path(BACKUPS))
  expect(backups).toHaveLength(1)
  const pushed = await box.json(['offsite', 'push'], { env: envOf(site) })
  expect(pushed).toMatchObject({ pushed: 1 })
  const coverage = await box.json(['coverage'], { env: envOf(site) })
  expect(coverage).toMatchObject({
    covered: true,
    findings: expect.not.arrayContaining([expect.objectContaining({ kind: 'offsite' })]),
    offsite: { place: site.address, status: 'ok', copies: 1, complete: true },
  })
})

test('coverage and health know of copies that are missing, old or unknown', async () => {
  const site = await newSite(minio())
  const box = await newBox()
  await box.ok(['put', 'a', '--value', '1'])
  await box.ok(['export-car'])
  const at = async (
    env: Record<string, string>,
  ): Promise<{ code: number | null; offsite: unknown; health: unknown }> => {
    const coverage = await box.run(['coverage', '--json'], { env })
    const health = await box.run(['health', '--json'], { env })
    const { checks } = JSON.parse(health.stdout) as { checks: { check: string }[] }
    return {
      code: coverage.code,
      offsite: (JSON.parse(coverage.stdout) as { offsite: unknown }).offsite,
      health: checks.find(({ check }) => check === 'offsite'),
    }
  }
  expect(await at({})).toEqual({ code: 0, offsite: null, health: undefined })
  expect(await at(envOf(site))).toMatchObject({
    code: 18,
    offsite: { status: 'none', copies: 0 },
    health: { level: 'critical', message: expect.stringMatching(/No copy of "main"/) },
  })
  await box.ok(['offsite', 'push'], { env: envOf(site) })
  await box.ok(['put', 'b', '--value', '2'])
  expect(await at(envOf(site))).toMatchObject({
    code: 0,
    offsite: { status: 'ok', copies: 1, complete: false },
    health: { level: 'ok', threshold: 48 * 3_600_000 },
  })
  await sleep(1100)
  expect(await at({ ...envOf(site), CAIRN_MAX_OFFSITE_AGE: '1s' })).toMatchObject({
    code: 18,
    offsite: { status: 'stale' },
    health: { level: 'critical', message: expect.stringMatching(/lacks the newest entries/) },
  })
  site.disturb(() => 'lose')
  expect(await at(envOf(site))).toMatchObject({
    code: 18,
    offsite: { status: 'unknown', copies: null },
    health: { level: 'critical', code: expect.stringMatching(/^backend_/) },
  })
})

test('a push that is killed goes on where it was, and leaves no half copy', async () => {
  const site = await newSite(minio())
  const box = await newBox()
  await addBackup(box.path(BACKUPS), 'main-1-20260101-000000-abcdefgh', { size: 4 * PART })
  site.disturb(({ operation, query }) =>
    operation === 'UploadPart' && query.get('partNumber') === '4' ? 'hold' : undefined,
  )
  const child = start(box, ['offsite', 'push'], site)
  while (site.proxy.held() === 0) await sleep(20)
  await kill(child)
  expect((await site.listing()).backups).toEqual([])
  site.disturb(() => undefined)
  const record = await box.json(['offsite', 'push'], { env: envOf(site) })
  expect(record).toMatchObject({ pushed: 1 })
  // Of the three before the one that was held at least the first had arrived.
  expect(record['sent_bytes']).toBeLessThanOrEqual(3 * PART)
  const verified = await box.json(['offsite', 'push', '--verify'], { env: envOf(site) })
  expect(verified['status']).toBe('already_pushed')
})

test('a pull that is killed goes on where it was, and leaves no half file under a name', async () => {
  const site = await newSite(minio())
  const [box, empty] = [await newBox(), await newBox()]
  const folder = box.path(BACKUPS)
  await addBackup(folder, 'main-1-20260101-000000-abcdefgh', { size: 4 * PART })
  await box.ok(['offsite', 'push'], { env: envOf(site) })
  site.disturb(({ operation, headers }) =>
    operation === 'GetObject' && headers.range?.startsWith(`bytes=${2 * PART}-`) === true
      ? 'hold'
      : undefined,
  )
  const child = start(empty, ['offsite', 'pull'], site)
  // The first two are on their way to the disk when the third is asked for.
  while (site.proxy.held() === 0 || (await partial(empty)) === undefined) await sleep(20)
  await kill(child)
  const there = await readBackups(empty.path(BACKUPS))
  expect([there.backups, there.unfinished]).toEqual([[], []])
  site.disturb(() => undefined)
  const record = await empty.json(['offsite', 'pull'], { env: envOf(site) })
  expect(record).toMatchObject({ status: 'pulled' })
  const [ours, theirs] = [await filesIn(folder), await filesIn(empty.path(BACKUPS))]
  expect(Object.keys(theirs)).toEqual(Object.keys(ours))
  const car = Object.keys(ours).find((name) => name.endsWith('.car')) ?? ''
  expect(theirs[car]).toBe(ours[car])
})

async function partial(box: Sandbox): Promise<string | undefined> {
  const names = await readdir(box.path(BACKUPS)).catch((): string[] => [])
  return names.find((name) => name.endsWith('.partial'))
}

test('what is asked for wrongly is refused with a hint; a prune says what would go', async () => {
  const site = await newSite(minio())
  const box = await newBox()
  const env = envOf(site)
  expect(await box.fails(['offsite', 'list'])).toMatchObject({ exit: 2, code: 'usage' })
  expect(await box.fails(['offsite', 'list', '--to', 'https://x'])).toMatchObject({
    code: 'config',
  })
  expect(await box.fails(['offsite', 'pull'], { env })).toMatchObject({
    exit: 10,
    code: 'not_found',
  })
  const wrongKey = { ...env, AWS_SECRET_ACCESS_KEY: 'wrong-wrong-wrong' }
  expect(await box.fails(['offsite', 'list'], { env: wrongKey })).toMatchObject({
    exit: 12,
    code: 'unauthenticated',
  })
  const never = { ...env, CAIRN_KEEP_OFFSITE: 'never' }
  expect(await box.fails(['offsite', 'prune'], { env: never })).toMatchObject({ code: 'usage' })
  for (const name of ['a', 'b']) {
    await box.ok(['put', name, '--value', '1'])
    await box.ok(['export-car'], { env: never })
    await sleep(1000)
  }
  const last = { ...env, CAIRN_KEEP_OFFSITE: 'last=1' }
  const lines = await box.ok(['offsite', 'prune', '-n'], { env: last })
  expect(lines).toMatch(/^keep {4}main-.*\(.*newest.*\)\nremove {2}main-.*\n$/)
  expect(await box.json(['offsite', 'prune'], { env: last })).toMatchObject({
    forgotten: 1,
    kept: 1,
  })
  // A folder that still has what was removed does not send it again.
  expect(await box.json(['offsite', 'push'], { env: last })).toMatchObject({
    status: 'already_pushed',
    cars: [{ status: 'already_there' }, { status: 'not_kept' }],
  })
  await rm(box.path(BACKUPS), { recursive: true })
  expect(await box.json(['offsite', 'push'], { env })).toMatchObject({ pushed: 0, cars: [] })
})

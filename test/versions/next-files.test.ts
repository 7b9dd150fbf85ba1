/**
 * What lies beside the blocks, as a made-up next version would write it: sidecars, the ledger, the mark of
 * the embedded store, CAR headers, cursors, settings, the notes of leases.
 */
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { numberBytes } from '../../src/backend/lmdb/keys.ts'
import { FORMAT, openLmdbFiles } from '../../src/backend/lmdb/tables.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { checkAllKnown, readBackups } from '../../src/backup/folder.ts'
import { parseSidecar } from '../../src/backup/sidecar.ts'
import { CarFile } from '../../src/car/file.ts'
import { peekCar } from '../../src/car/peek.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { Ledger } from '../../src/verify/ledger.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { inTempDir, LEDGER, SIDECAR } from './fixture.ts'
import { collect, outcomeOf } from './operations.ts'
import { fillStore, openAt, READ } from './recipe.ts'

const fixture = fileURLToPath(new URL('../../fixtures/versions/format-1', import.meta.url))

async function refused(work: Promise<unknown>, code = 'format_unsupported'): Promise<void> {
  const outcome = await outcomeOf(work)
  expect(outcome).toMatchObject({ refused: code })
  if (code === 'format_unsupported')
    expect('hint' in outcome ? outcome.hint : '').toMatch(/version/)
}

test('a sidecar of the next version is refused as one, and a damaged one as damaged', async () => {
  const text = await readFile(join(fixture, SIDECAR), 'utf8')
  const parsed = async (changed: string): Promise<unknown> => parseSidecar(changed)
  await refused(parsed(text.replace('car-sidecar@v1', 'car-sidecar@v2')))
  await refused(parsed(text.replace('car-sidecar@v1', 'car-sidecar@v10')))
  await refused(parsed('{ "schema": "cairn/car-sidecar@v2" }'))
  await refused(parsed(text.replace('cairn/car-sidecar@v1', 'other@v1')), 'invalid_car')
  await refused(parsed(text.replace('"seq"', '"sequence"')), 'invalid_car')
})

test('in a folder with a sidecar of the next version no backup is judged', () =>
  inTempDir(async (dir) => {
    const name = 'main-2-20231119-221320-abcdefgh'
    await copyFile(join(fixture, 'full.car'), join(dir, `${name}.car`))
    const text = await readFile(join(fixture, SIDECAR), 'utf8')
    await writeFile(join(dir, `${name}.json`), text)
    const known = await readBackups(dir)
    expect(() => checkAllKnown(known)).not.toThrow()
    await writeFile(join(dir, `${name}.json`), text.replace('car-sidecar@v1', 'car-sidecar@v2'))
    const folder = await readBackups(dir)
    expect(folder.backups).toEqual([])
    await refused((async () => checkAllKnown(folder))())
  }))

test('the base that a delta of the next version needs is not removed', async () => {
  const box = await Sandbox.make()
  try {
    await box.ok(['init'])
    await box.ok(['put', 'a', '--value', '{"n":1}'])
    await box.ok(['build-snapshot'])
    const base = box.path(String((await box.json(['export-car']))['path']))
    await box.ok(['put', 'b', '--value', '{"n":2}'])
    const delta = box.path(String((await box.json(['export-car', '--since', 'latest']))['path']))
    const beside = delta.replace(/\.car$/, '.json')
    const text = await readFile(beside, 'utf8')
    await writeFile(beside, text.replace('car-sidecar@v1', 'car-sidecar@v2'))
    await box.ok(['put', 'c', '--value', '{"n":3}'])
    await box.ok(['build-snapshot'])
    const made = await box.json(['export-car', '--keep', '1'])
    expect(made).toMatchObject({ status: 'exported', removed: [] })
    const before = await readdir(dirname(base))
    for (const args of [['prune', '--cars'], ['prune']]) {
      const failed = await box.fails([...args, '--keep-last', '1'])
      expect(failed, args.join(' ')).toMatchObject({ exit: 4, code: 'format_unsupported' })
      expect(failed.hint).toMatch(/version/)
    }
    const drilled = await box.run(['drill'])
    expect(drilled).toMatchObject({ code: 18 })
    expect(drilled.stdout + drilled.stderr).toMatch(/car-sidecar@v2/)
    expect(await readdir(dirname(base))).toEqual(expect.arrayContaining(before))
    // When all can be read again the rules go on, and know what the delta needs.
    await writeFile(beside, text)
    const pruned = await box.json(['prune', '--cars', '--keep-last', '2'])
    expect(pruned).toMatchObject({ status: 'already_pruned', forgotten: 0 })
  } finally {
    await box.remove()
  }
}, 60_000)

test('a ledger of the next version is kept aside as it is, and nothing counts as proved', () =>
  inTempDir(async (dir) => {
    const backend = openMemory()
    await fillStore(backend)
    const { pointer } = await (await openAt(backend, () => READ).dataset('main')).status()
    const { identity } = pointer
    const of = { location: backend.location, dataset: 'main', identity }
    const { path } = await Ledger.open(dir, of)
    const text = await readFile(join(fixture, LEDGER), 'utf8')
    await writeFile(path, text)
    expect((await Ledger.open(dir, of)).size).toBeGreaterThan(10)
    const next = text.replace('ledger@v1', 'ledger@v2')
    await writeFile(path, next)
    const ledger = await Ledger.open(dir, of)
    expect(ledger.size).toBe(0)
    expect(ledger.note).toMatch(/could not be read/)
    await ledger.save()
    const [aside] = (await readdir(dir)).filter((name) => name.includes('unreadable'))
    expect(await readFile(join(dir, aside ?? ''), 'utf8')).toBe(next)
  }))

async function setMark(dir: string, format: number): Promise<void> {
  const env = openLmdbFiles(dir)
  const options = { name: 'meta', encoding: 'binary', keyEncoding: 'binary' } as const
  const meta = env.openDB<Uint8Array, Uint8Array>(options)
  await env.transaction(() => void meta.put(Buffer.from('format'), numberBytes(format)))
  await env.close()
}

test.each([FORMAT - 1, FORMAT + 1])('an embedded store of format %d is left as it is', (format) =>
  inTempDir(async (dir) => {
    const backend = await openLmdb({ dir, create: true })
    await fillStore(backend)
    await backend.close()
    await setMark(dir, format)
    const before = await readFile(join(dir, 'data.mdb'))
    await refused(openLmdb({ dir }))
    await refused(openLmdb({ dir, create: true }))
    expect((await readFile(join(dir, 'data.mdb'))).equals(before)).toBe(true)
  }),
)

test('a store that a newer version takes over while it is open takes no more writes', () =>
  inTempDir(async (dir) => {
    const backend = await openLmdb({ dir, create: true })
    await fillStore(backend)
    const dataset = await openAt(backend, () => READ).dataset('main')
    await setMark(dir, FORMAT + 1)
    const before = await backend.newest('main', -1)
    await refused(dataset.put('E000', { n: 'of the old one' }))
    await refused(dataset.build({ force: true }))
    await refused(dataset.rollback({ snapshot: 'first' }))
    await refused(dataset.prune({ policy: { last: 1 } }))
    await refused(backend.lease('a lease'))
    expect(await backend.newest('main', -1)).toEqual(before)
    await setMark(dir, FORMAT)
    expect((await dataset.put('E000', { n: 'again' })).status).toBe('appended')
    await backend.close()
  }))

test('a CAR of a third version is refused', () =>
  inTempDir(async (dir) => {
    const whole = await readFile(join(fixture, 'full.car'))
    const header = whole.subarray(1, 1 + (whole[0] ?? 0))
    const { roots } = dagCbor.decode<{ roots: unknown[] }>(header)
    const next = dagCbor.encode({ roots, version: 3 })
    const path = join(dir, 'third.car')
    await writeFile(
      path,
      Buffer.concat([Buffer.of(next.length), next, whole.subarray(1 + header.length)]),
    )
    await refused(CarFile.open(path), 'invalid_car')
    await refused(peekCar(path), 'invalid_car')
  }))

test('a cursor of the next version is refused, and says so', async () => {
  const backend = openMemory()
  await fillStore(backend)
  const dataset = await openAt(backend, () => READ).dataset('main')
  const { nextCursor } = await dataset.list({ limit: 3 })
  const body = Buffer.from(nextCursor ?? '', 'base64url').subarray(0, -4)
  body[0] = 2
  const check = createHash('sha256').update(body).digest().subarray(0, 4)
  const cursor = Buffer.concat([body, check]).toString('base64url')
  const outcome = await outcomeOf(dataset.list({ limit: 3, cursor }))
  expect(outcome).toMatchObject({ refused: 'invalid_cursor' })
  expect('message' in outcome && outcome.message).toMatch(/another version of Cairn/)
})

test('a setting of the next version is refused, and not passed over', () =>
  inTempDir(async (dir) => {
    await mkdir(dir, { recursive: true })
    await writeFile(join(dir, 'cairn.config.json'), '{ "store": "memory:", "a_new_one": 1 }')
    await refused(resolveConfig({ flags: {}, env: {}, cwd: dir }), 'config')
  }))

test('a lease of the next version stops a prune before it forgets anything', async () => {
  const backend = openMemory()
  await fillStore(backend)
  const dataset = await openAt(backend, () => READ).dataset('main')
  const lease = await backend.lease('{"schema":"cairn/lease@v2","keeps":["everything"]}')
  const before = await backend.newest('main', -1)
  await refused(dataset.prune({ policy: { last: 1 } }), 'busy')
  expect(await backend.newest('main', -1)).toEqual(before)
  expect(await collect(dataset.snapshots())).toHaveLength(3)
  await lease.release()
  expect((await dataset.prune({ policy: { last: 1 } })).kept).toBe(1)
})

/**
 * CARs. What our readers take, `@ipld/car` reads with the same roots and blocks; what verifies is restored;
 * a restore that fails changes no commit, and one that succeeds gives the tree of its entries.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { CarReader } from '@ipld/car'
import { openCarBackend } from '../../../src/backend/car.ts'
import { carBlocks } from '../../../src/backend/kubo/car-stream.ts'
import { openMemory } from '../../../src/backend/memory.ts'
import { CarFile, type CarFileOptions } from '../../../src/car/file.ts'
import { varint } from '../../../src/car/encode.ts'
import { indexHead, indexPlace, v2Head } from '../../../src/car/index-v2.ts'
import { findCarState } from '../../../src/car/state.ts'
import { peekCar } from '../../../src/car/peek.ts'
import { Cairn } from '../../../src/cairn.ts'
import type { Dataset } from '../../../src/engine/dataset.ts'
import { verifyCar } from '../../../src/engine/verify-car.ts'
import type { ErrorCode } from '../../../src/errors.ts'
import { bytesEqual, cidMatches, cidParts, printCid } from '../../../src/model/cid.ts'
import type { Entry } from '../../../src/model/entry.ts'
import type { Backend } from '../../../src/store/backend.ts'
import { NaiveBuilder } from '../../helpers/naive-tree.ts'
import { fixtureFiles, golden } from '../golden.ts'
import { looseCar } from '../mutate-car.ts'
import { scratch } from '../scratch.ts'
import { demand, hexOf, tokensOf, unlessRefusedLater, type Target } from '../target.ts'

const TOKENS = tokensOf(
  '0x0aa16776657273696f6e02',
  '0x6776657273696f6e01',
  '0xa265726f6f7473',
  '0x01711220',
  '0x1220',
  '0x0155',
  '0x00',
  '0xffffffff7f',
  '0x8001',
  '0xffffff04',
  '0x8104',
)

const corrupt = (name: string): Uint8Array => readFileSync(`fixtures/corrupt/${name}.car`)

/** A CARv2 of this CARv1 with an index, as our writer makes it. */
function withIndex(car: Uint8Array): Uint8Array {
  const { header, sections } = looseCar(Buffer.from(car)) ?? {
    header: Buffer.alloc(0),
    sections: [],
  }
  let place = varint(header.length).length + header.length
  const rows = sections.map(({ cid, bytes }) => {
    const row = Buffer.concat([cid.subarray(4), indexPlace(place)])
    const length = cid.length + bytes.length
    place += varint(length).length + length
    return row
  })
  return Buffer.concat([
    v2Head(car.length),
    car,
    indexHead(rows.length),
    ...rows.toSorted((a, b) => Buffer.compare(a, b)),
  ])
}

interface Reading {
  readonly roots: string
  readonly blocks: readonly string[]
}

async function otherReading(bytes: Uint8Array): Promise<Reading> {
  const reader = await CarReader.fromBytes(bytes)
  const blocks: string[] = []
  for await (const block of reader.blocks())
    blocks.push(`${hexOf(block.cid.bytes)} ${hexOf(block.bytes)}`)
  return { roots: (await reader.getRoots()).map(({ bytes: root }) => hexOf(root)).join(), blocks }
}

async function ourReading(car: CarFile): Promise<Reading> {
  const blocks: string[] = []
  for await (const batch of car.sections())
    for (const { cid, bytes } of batch) blocks.push(`${hexOf(cid)} ${hexOf(bytes)}`)
  return { roots: car.roots.map(hexOf).join(), blocks }
}

const sameReading = (a: Reading, b: Reading): boolean =>
  a.roots === b.roots && a.blocks.join('\n') === b.blocks.join('\n')

async function opened<T>(
  path: string,
  options: CarFileOptions,
  look: (car: CarFile) => Promise<T>,
): Promise<T | undefined> {
  const car = await unlessRefusedLater(['invalid_car'], () => CarFile.open(path, options))
  if (car === undefined) return undefined
  try {
    return await look(car)
  } finally {
    await car.close()
  }
}

/** With an index that is taken for granted, a block that is found is still the one that was asked for. */
async function byTheIndex(path: string, car: CarFile): Promise<void> {
  await opened(path, { trustIndex: true }, async (quick) => {
    for await (const batch of car.sections()) {
      for (const { cid } of batch) {
        const found = await unlessRefusedLater(['invalid_car'], async () => quick.read(cid))
        demand(found !== undefined, 'with an index every block is found')
        const wanted = car.read(cid)
        const same = wanted !== undefined && bytesEqual(found, wanted)
        demand(same || cidParts(cid).hash === 'sha2-256', 'an identity block is in its CID')
        demand(
          same || !cidMatches(cid, wanted ?? found) || cidMatches(cid, found),
          'an index leads to no worse a block',
        )
      }
    }
  })
}

const carOpen: Target = {
  name: 'car-open',
  covers: [
    'car/frame.ts:parseHeader',
    'car/frame.ts:parseLayout',
    'car/index-v2.ts:openSortedIndex',
    'car/file.ts:readHeader',
    'car/file.ts:CarFile.open',
    'car/peek.ts:peekCar',
    'car/window.ts:readExactly',
    'backend/kubo/car-stream.ts:carBlocks',
  ],
  kind: 'car',
  tokens: TOKENS,
  mostMs: 1000,
  seeds: () => [
    corrupt('sound'),
    ...golden('car'),
    ...golden('car').map(withIndex),
    withIndex(corrupt('sound')),
    corrupt('extra-root-is-content'),
    corrupt('no-roots'),
    corrupt('identity-root'),
    corrupt('truncated-in-section'),
    corrupt('huge-length'),
    ...fixtureFiles('arke', 'updated-entity.car'),
  ],
  async run(bytes) {
    const path = scratch.file('open.car', bytes)
    const ours = await opened(path, {}, async (car) => {
      const reading = await ourReading(car)
      await byTheIndex(path, car)
      const peeked = await peekCar(path)
      demand(peeked.roots.map(hexOf).join() === reading.roots, 'a glance finds the same roots')
      return reading
    })
    await unlessRefusedLater(['invalid_car'], () => peekCar(path))
    if (ours !== undefined)
      demand(sameReading(ours, await otherReading(bytes)), '@ipld/car reads the same')
    await streamed(bytes, ours)
  },
}

/** The reader of a node's answer, which comes in pieces and is a CARv1. */
async function streamed(bytes: Uint8Array, ours: Reading | undefined): Promise<void> {
  const size = 1 + ((bytes.length * 7) % 1000)
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  const blocks = await unlessRefusedLater(['invalid_car'], async () => {
    const all: string[] = []
    for await (const batch of carBlocks(pieces()))
      for (const { cid, bytes: block } of batch) all.push(`${hexOf(cid)} ${hexOf(block)}`)
    return all
  })
  const isV2 = bytes[1] === 0xa1
  if (isV2) return
  demand((blocks === undefined) === (ours === undefined), 'the stream is read when the file is')
  if (blocks !== undefined && ours !== undefined)
    demand(blocks.join('\n') === ours.blocks.join('\n'), 'with the same blocks')
}

const RESTORE_REFUSALS: readonly ErrorCode[] = [
  'invalid_car',
  'invalid_block',
  'block_mismatch',
  'block_missing',
  'content_missing',
  'invalid_content',
  'base_missing',
  'format_unsupported',
  'invalid_entry',
]
const NOW = 1_700_000_100_000

async function newStore(): Promise<{ backend: Backend; cairn: Cairn; before: Uint8Array }> {
  const backend = openMemory()
  let count = 0
  const cairn = new Cairn(backend, {
    now: () => NOW,
    randomBytes: (length) => Buffer.alloc(length, (count += 1)),
  })
  const { dataset } = await cairn.init('main', { chunkSize: 64, content: 'external' })
  await dataset.append({ pi: 'mine', tip: null })
  return { backend, cairn, before: await newest(backend) }
}

async function newest(backend: Backend): Promise<Uint8Array> {
  return (await backend.newest('main', -1))?.bytes ?? new Uint8Array(0)
}

async function restoreOne(car: CarFile): Promise<boolean> {
  const { backend, cairn, before } = await newStore()
  try {
    const restored = await unlessRefusedLater(RESTORE_REFUSALS, () =>
      cairn.restoreCar([car], { as: 'main', replace: true }),
    )
    demand((await cairn.datasets()).join() === 'main', 'a restore makes no other dataset')
    if (restored === undefined) {
      demand(bytesEqual(await newest(backend), before), 'a restore that failed changed no commit')
      return false
    }
    demand(await isHashed(car, backend), 'a restore takes no block that is not what its CID says')
    const dataset = await cairn.dataset('main')
    const entries: Entry[] = []
    for await (const entry of dataset.entries({ deleted: true, order: 'asc' })) entries.push(entry)
    const live = entries.filter(({ tip }) => tip !== null).length
    demand(live <= restored.totalCount, 'the total counts what is live')
    const { root } = await dataset.build()
    demand(
      printCid(root) === (await naiveRoot(dataset, entries)),
      'the root is that of the entries',
    )
    return true
  } finally {
    await cairn.close()
  }
}

/** The root of a tree that shares no code with ours. */
async function naiveRoot(dataset: Dataset, entries: readonly Entry[]): Promise<string> {
  const { pointer } = await dataset.status()
  const { settings, snapshot_ts } = pointer as unknown as Pointer
  const at = Date.parse(snapshot_ts)
  const kept = entries.filter(({ exp }) => exp === null || exp > at)
  return new NaiveBuilder(settings.chunk_size, settings.content).build(kept).root.cid.toString()
}

interface Pointer {
  readonly settings: { readonly chunk_size: number; readonly content: 'linked' | 'external' }
  readonly snapshot_ts: string
}

const carRestore: Target = {
  name: 'car-restore',
  covers: [
    'car/state.ts:findCarState',
    'car/state.ts:readFrom',
    'engine/verify-car.ts:verifyCar',
    'backend/car.ts:openCarBackend',
  ],
  kind: 'car',
  tokens: TOKENS,
  mostMs: 2000,
  maxBytes: 16 * 1024,
  seeds: () => [
    corrupt('sound'),
    corrupt('delta-without-base'),
    corrupt('content-left-out'),
    corrupt('chain-list-of-the-wrong-level'),
    corrupt('block-twice'),
    corrupt('flipped-in-content'),
    corrupt('flipped-in-data'),
    ...golden('car'),
  ],
  async run(bytes) {
    const path = scratch.file('restore.car', bytes)
    await opened(path, {}, async (car) => {
      const restored = await restoreOne(car)
      const report = await unlessRefusedLater(RESTORE_REFUSALS, () => verifyCar([car]))
      const whole =
        report?.verdict === 'whole' &&
        report.states.length === 1 &&
        report.states[0]?.scope === 'all'
      demand(!whole || restored || !carriesAll(car), 'a CAR that verifies is restored')
      if (report?.verdict === 'whole')
        demand(await isHashed(car), 'a CAR that verifies has the bytes of its CIDs')
      await listed(car)
    })
  },
}

/** Whether each block of the CAR, as a store has it or else the CAR, has the sha2-256 that ends its CID. */
async function isHashed(car: CarFile, store?: Backend): Promise<boolean> {
  for await (const batch of car.sections()) {
    for (const { cid, bytes } of batch.filter((one) => one.cid.length >= 34)) {
      const held = store === undefined ? bytes : (await store.getBlocks([cid]))[0]
      if (held === undefined) continue
      const digest = createHash('sha256').update(held).digest()
      if (!bytesEqual(cid.subarray(-32), digest)) return false
    }
  }
  return true
}

/** One without content is restored where the content is. */
function carriesAll(car: CarFile): boolean {
  const { checkpoint, header } = findCarState([car])
  return header.content === 'external' || checkpoint === undefined || checkpoint.content === 'full'
}

/** As a dataset of its own, without a store. */
async function listed(car: CarFile): Promise<void> {
  await unlessRefusedLater([...RESTORE_REFUSALS, 'pointer_damaged'], async () => {
    const cairn = new Cairn(openCarBackend([car]))
    const [name = 'main'] = await cairn.datasets()
    const dataset = await cairn.dataset(name)
    for (let cursor: string | undefined, page = 0; page < 50; page++) {
      const { items, nextCursor } = await dataset.list({ limit: 20, cursor })
      demand(items.length <= 20, 'a page is no longer than asked for')
      if (nextCursor === null) return
      cursor = nextCursor
    }
  })
}

export const CAR_TARGETS: readonly Target[] = [carOpen, carRestore]

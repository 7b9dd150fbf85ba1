/** What lies in a bucket that is a store, where anybody may have put it: packs, commits, small records. */
import { CarReader } from '@ipld/car'
import { Clock } from '../../../src/backend/s3/clock.ts'
import { LeaseObjects } from '../../../src/backend/s3/lease-objects.ts'
import { Locations } from '../../../src/backend/s3/locations.ts'
import {
  decodeCommitObject,
  encodeCommitObject,
  encodePack,
  readIndex,
  readPack,
  readSection,
} from '../../../src/backend/s3/pack.ts'
import type { Section } from '../../../src/backend/s3/pack-builder.ts'
import { SweepStates } from '../../../src/backend/s3/sweep-state.ts'
import { V2_HEAD_BYTES } from '../../../src/car/frame.ts'
import { v2Head } from '../../../src/car/index-v2.ts'
import type { ErrorCode } from '../../../src/errors.ts'
import { cborCidOf, cidMatches, cidParts, rawCidOf, type Block } from '../../../src/model/cid.ts'
import { golden } from '../golden.ts'
import { holding, NOW } from '../holding.ts'
import {
  demand,
  same,
  tokensOf,
  unlessRefused,
  unlessRefusedLater,
  type Target,
} from '../target.ts'

const block = (text: string): Block => {
  const bytes = Buffer.from(text)
  return { cid: rawCidOf(bytes), bytes }
}
const TEXTS = ['', 'a', 'one block', 'x'.repeat(300)].map(block)
const CBOR = Buffer.from('a0', 'hex')
const PACK = encodePack([...TEXTS, { cid: cborCidOf(CBOR), bytes: CBOR }])
const COMMITS = golden('commit').map((one) => encodeCommitObject(one, TEXTS).bytes)
const carIn = (object: Uint8Array): Uint8Array => object.subarray(V2_HEAD_BYTES, indexIn(object))

/** Where the head of an object has its index, if it is in there. */
function indexIn(object: Uint8Array): number {
  if (object.length < V2_HEAD_BYTES) return object.length
  const place = Buffer.from(object).readBigUInt64LE(V2_HEAD_BYTES - 8)
  return place > BigInt(object.length) ? object.length : Number(place)
}

/** Objects, CARs that become objects, and indexes alone. */
const objects: Target = {
  name: 'bucket-object',
  covers: [
    'backend/s3/pack.ts:readIndex',
    'backend/s3/pack.ts:readPack',
    'backend/s3/pack.ts:readSection',
    'backend/s3/pack.ts:decodeCommitObject',
  ],
  kind: 'car',
  tokens: tokensOf('0x01551220', '0x0aa16776657273696f6e02', '0x8108', '0x28000000', '0xffffff7f'),
  seeds: () => [
    PACK.bytes,
    encodePack([]).bytes,
    Buffer.concat([carIn(PACK.bytes), Buffer.from('0401550000', 'hex')]),
    ...COMMITS,
    ...[PACK.bytes, ...COMMITS].flatMap((one) => [carIn(one), one.subarray(indexIn(one))]),
  ],
  async run(bytes) {
    checkIndex(bytes, 1 << 20)
    checkIndex(bytes.subarray(indexIn(bytes)), indexIn(bytes))
    const index = encodePack([]).bytes.subarray(-6)
    await checkObject(bytes)
    await checkObject(Buffer.concat([v2Head(bytes.length), bytes, index]))
  },
}

function checkIndex(index: Uint8Array, indexAt: number): void {
  const sections = readIndex(index, indexAt)
  if (sections === undefined) return
  demand(
    sections.every(({ digest }) => digest.length === 32),
    'an index has digests of sha2-256',
  )
  checkPlaces(sections, indexAt)
  demand(
    sections.length === 0 || endOf(sections) === indexAt,
    'sections end where the index begins',
  )
  const locations = new Locations()
  locations.add('an object', sections)
  for (const { digest } of sections) {
    const found = locations.find(digest)
    if (found === undefined) continue
    demand(found !== 'gone' && found.at >= V2_HEAD_BYTES, 'a section has its place')
    const meant = sections.some(({ at, length }) => at === found.at && length <= found.length)
    demand(meant, 'the place of a section has room for it')
  }
  locations.close()
}

const endOf = (sections: readonly Section[]): number =>
  sections.reduce((_, { at, length }) => at + length, 0)

function checkPlaces(sections: readonly Section[], end: number): void {
  let from = V2_HEAD_BYTES
  for (const { at, length } of sections) {
    demand(at >= from && length > 0 && at + length <= end, 'sections lie in order, in the object')
    from = at + length
  }
}

async function checkObject(object: Uint8Array): Promise<void> {
  const { packed, end } = readPack(object, 'packs/x')
  checkPlaces(
    packed.map(({ section }) => section),
    object.length,
  )
  for (const one of packed) {
    const { at, length, digest } = one.section
    const alone = readSection(object.subarray(at, at + length))
    demand(alone !== undefined, 'a section is read alone as with the rest')
    demand(same(alone.cid, one.block.cid) && same(alone.bytes, one.block.bytes), 'and is the same')
    demand(same(cidParts(alone.cid).digest, digest), 'a section has its digest')
  }
  const blocks = packed.map((one) => one.block)
  checkPackedAgain(blocks)
  if (end) await checkByTheLibrary(object, blocks)
  const refusals: readonly ErrorCode[] = ['pointer_damaged']
  const decoded = unlessRefused(refusals, () => decodeCommitObject(object, 'commits/x'))
  if (decoded === undefined) return
  demand(cidMatches(decoded.cid, decoded.commit), 'a commit is what its CID says')
  demand(
    decoded.blocks.every((one) => cidMatches(one.cid, one.bytes)),
    'and so are its blocks',
  )
  demand(decoded.sections.length === packed.length - 1, 'of all others their places are told')
}

function checkPackedAgain(blocks: readonly Block[]): void {
  const again = encodePack(blocks)
  const { packed, end } = readPack(again.bytes, 'packs/x')
  demand(end, 'what is packed is read to its end')
  demand(blocks.every(isOnItsOwn), 'what its CID says already takes no memory')
  const names = new Set(blocks.map(({ cid }) => digestText(cid)))
  demand(packed.length === names.size, 'each block is packed once')
  const sections = readIndex(again.bytes.subarray(again.indexAt), again.indexAt)
  demand(
    JSON.stringify(sections) === JSON.stringify(packed.map(({ section }) => section)),
    'an index says what is there',
  )
}

const isOnItsOwn = ({ cid }: Block): boolean => cidParts(cid).hash !== 'identity'
const digestText = (cid: Uint8Array): string => Buffer.from(cidParts(cid).digest).toString('hex')

/** It may refuse more, or less; what both read is the same. */
async function checkByTheLibrary(object: Uint8Array, blocks: readonly Block[]): Promise<void> {
  const theirs: Block[] = []
  try {
    const reader = await CarReader.fromBytes(object)
    for await (const { cid, bytes } of reader.blocks()) {
      const one = { cid: cid.bytes, bytes }
      if (isOnItsOwn(one)) theirs.push(one)
    }
  } catch {
    return
  }
  const asOurs = (one: Block, i: number): boolean =>
    same(one.cid, blocks[i]?.cid ?? new Uint8Array(0)) &&
    same(one.bytes, blocks[i]?.bytes ?? new Uint8Array(0))
  demand(
    theirs.length === blocks.length && theirs.every(asOurs),
    'the library reads the same blocks',
  )
}

const STATE = { begun: 3, phase: 'marking', version: 4, lease: 'leases/sweep/1' }

const records: Target = {
  name: 'bucket-records',
  covers: [
    'backend/s3/sweep-state.ts:SweepStates.read',
    'backend/s3/lease-objects.ts:LeaseObjects.notes',
  ],
  kind: 'json',
  maxBytes: 4096,
  tokens: tokensOf('null', '-1', '1e99', '"freeing"', '"none"', '{"note":1}', '0xff'),
  seeds: () =>
    [STATE, { ...STATE, phase: 'none', lease: '' }, { note: 'an export of main' }].map((one) =>
      Buffer.from(JSON.stringify(one)),
    ),
  async run(bytes) {
    const info = { key: 'leases/reader/1', size: bytes.length, etag: '', modified: NOW }
    const bucket = holding(bytes, [info])
    const clock = new Clock(
      () => NOW,
      () => 0,
    )
    const leases = new LeaseObjects(bucket, clock, () => {})
    const notes = await unlessRefusedLater(['busy'], () => leases.notes('reader'))
    demand(
      notes === undefined || (notes.length === 1 && typeof notes[0] === 'string'),
      'what counts as live says what for',
    )
    const states = new SweepStates(bucket, leases, clock)
    const state = await unlessRefusedLater(['pointer_damaged'], () => states.read())
    if (state === undefined) return
    const { begun, phase, version, lease } = state
    demand(
      [begun, version].every((one) => Number.isSafeInteger(one) && one >= 0),
      'a sweep has its numbers',
    )
    demand(['none', 'marking', 'freeing'].includes(phase), 'a sweep is in one of its phases')
    demand(typeof lease === 'string', 'a sweep has its lease')
  },
}

export const BUCKET_TARGETS: readonly Target[] = [objects, records]

/** The data of the older system: pointers, records, and whole CARs of it, imported. */
import { readdirSync, readFileSync } from 'node:fs'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import { isChainRecord, prevOf } from '../../../src/arke/chain.ts'
import { readOldEntry } from '../../../src/arke/entry.ts'
import { importArke, type ArkeOptions } from '../../../src/arke/import.ts'
import { isUsable, readLink } from '../../../src/arke/links.ts'
import { manifestFacts, namedBy } from '../../../src/arke/manifest.ts'
import { parsePointer } from '../../../src/arke/pointer.ts'
import { describeSnapshot } from '../../../src/arke/snapshot.ts'
import { recordOf, type OldSource } from '../../../src/arke/source.ts'
import { openMemory } from '../../../src/backend/memory.ts'
import { CarFile } from '../../../src/car/file.ts'
import { Cairn } from '../../../src/cairn.ts'
import type { ErrorCode } from '../../../src/errors.ts'
import { cborCidOf, rawCidOf } from '../../../src/model/cid.ts'
import { parseId } from '../../../src/model/entity-id.ts'
import { fixtureFiles } from '../golden.ts'
import { looseCar } from '../mutate-car.ts'
import { scratch } from '../scratch.ts'
import { demand, tokensOf, unlessRefused, unlessRefusedLater, type Target } from '../target.ts'

const TOKENS = tokensOf(
  '"arke/event@v1"',
  '"arke/snapshot@v3"',
  '"arke/chain-entry@v0"',
  '"arke/manifest/v1"',
  '{"/":"bafkqaaa"}',
  'null',
  '"entries":[]',
  '"chunks":[]',
  '"entries_head":null',
  '-1',
  '1e99',
)

const pointer: Target = {
  name: 'arke-pointer',
  covers: ['arke/pointer.ts:parsePointer', 'arke/links.ts:readLink', 'arke/fields.ts:readTime'],
  kind: 'json',
  tokens: TOKENS,
  seeds: () =>
    readdirSync('fixtures/arke/made')
      .filter((name) => name.startsWith('pointer'))
      .map((name) => readFileSync(`fixtures/arke/made/${name}`)),
  run(bytes) {
    const read = unlessRefused(['pointer_damaged'], () =>
      parsePointer('/arke/index-pointer', bytes),
    )
    if (read === undefined) return
    const cids = [read.snapshot, read.head, read.foldedHead]
    demand(
      cids.every((cid) => cid === undefined || isUsable(cid)),
      'its CIDs are such as Cairn takes',
    )
    demand(read.updated === undefined || Number.isSafeInteger(read.updated), 'its time is one')
  },
}

/** The blocks of the CARs of the older system: DAG-CBOR and DAG-JSON under 36-byte CIDs. */
function oldBlocks(): Uint8Array[] {
  const cars = [...fixtureFiles('arke', 'head-3.car'), ...fixtureFiles('arke/made', '.car', 10_000)]
  const blocks = cars.flatMap((car) => looseCar(Buffer.from(car))?.sections ?? [])
  return blocks.map(({ bytes }) => bytes).filter(({ length }, i) => length < 2000 && i % 3 === 0)
}

const record: Target = {
  name: 'arke-record',
  covers: [
    'arke/source.ts:recordOf',
    'arke/entry.ts:readOldEntry',
    'arke/fields.ts:readId',
    'arke/links.ts:readLink',
  ],
  kind: 'cbor',
  tokens: TOKENS,
  seeds: () => [
    ...oldBlocks(),
    dagJson.encode({
      schema: 'arke/manifest/v1',
      pi: 'a',
      ver: 2,
      ts: '2025-01-01T00:00:00Z',
      prev: null,
      components: { a: { '/': 'x' } },
    }),
    dagCbor.encode({
      schema: 'arke/event@v1',
      pi: 'a',
      ver: 2,
      tip_cid: 'bafkqaaa',
      ts: '2025-01-01T00:00:00Z',
      prev: null,
    }),
  ],
  run(bytes) {
    const json = bytes[0] === 0x7b
    const cid = json
      ? Uint8Array.from([1, 0xa9, 0x02, ...rawCidOf(bytes).subarray(2)])
      : cborCidOf(bytes)
    const read = recordOf(cid, bytes)
    if ('problem' in read) return
    const { map } = read
    const snapshot = describeSnapshot(cid, map)
    demand(
      snapshot === undefined || snapshot.prev === undefined || isUsable(snapshot.prev),
      'what a snapshot names can be asked for',
    )
    const entry = readOldEntry(map)
    if ('entry' in entry)
      demand(
        entry.entry.tip === undefined || isUsable(entry.entry.tip),
        'a tip is such as Cairn takes',
      )
    const { pi, ver } = manifestFacts(map)
    demand(pi === undefined || parseId(pi).length > 0, 'an id is one')
    demand(ver === undefined || Number.isSafeInteger(ver), 'a version is one')
    for (const { link } of namedBy(map))
      demand('unusable' in link || isUsable(link.cid), 'a link is one')
    if (isChainRecord(map)) readLink(prevOf(map))
  },
}

const REFUSALS: readonly ErrorCode[] = [
  'invalid_car',
  'block_missing',
  'block_mismatch',
  'too_large',
  'invalid_block',
  'usage',
  'blocks_missing',
  'content_missing',
  'not_found',
  'invalid_content',
  'damage_found',
]

async function imported(
  source: OldSource,
  content: ArkeOptions['content'],
  skipMissing: boolean,
): Promise<void> {
  const backend = openMemory()
  const cairn = new Cairn(backend, { now: () => 1_760_000_000_000 })
  const options: ArkeOptions = {
    content,
    skipMissing,
    history: true,
    dataset: 'main',
    testDataset: 'test',
  }
  try {
    const report = await unlessRefusedLater(REFUSALS, () =>
      importArke(source, { cairn, backend }, options),
    )
    if (report === undefined) return
    for (const { dataset: name, entities } of report.datasets) {
      if (!(await cairn.datasets()).includes(name)) continue
      const dataset = await cairn.dataset(name)
      let count = 0
      for await (const { pi } of dataset.entries()) count += parseId(pi).length > 0 ? 1 : 0
      demand(count <= entities, 'no more is there than was found')
    }
  } finally {
    await cairn.close()
  }
}

const car: Target = {
  name: 'arke-car',
  covers: [
    'arke/import.ts:importArke',
    'arke/snapshot.ts:readSnapshot',
    'arke/source.ts:readBlocks',
    'arke/source.ts:readRecord',
    'arke/candidate.ts:decodeCandidate',
  ],
  kind: 'car',
  tokens: TOKENS,
  mostMs: 3000,
  maxBytes: 16 * 1024,
  seeds: () => [...fixtureFiles('arke', '.car', 5000), ...fixtureFiles('arke/made', '.car', 5000)],
  async run(bytes) {
    const path = scratch.file('arke.car', bytes)
    const opened = await unlessRefusedLater(['invalid_car'], () => CarFile.open(path))
    if (opened === undefined) return
    try {
      const source = { blocks: opened, roots: opened.roots }
      await imported(source, 'external', true)
      await imported(source, 'auto', false)
    } finally {
      await opened.close()
    }
  },
}

export const OLD_TARGETS: readonly Target[] = [pointer, record, car]

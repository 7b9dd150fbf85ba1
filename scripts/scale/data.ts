/** Datasets of any size: small values, and every so often a file of two blocks. */
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import type { Backend } from '../../src/store/backend.ts'
import { twoBlockFile } from '../../test/kills/two-block-file.ts'

const FILE_EVERY = 50
/** Of these there are five in every dataset: files that the store cuts by itself. */
const LARGE_BYTES = 1_500_000
const LARGE = 5
const STAGED_AT_ONCE = 1000

/** 26 characters, like a ULID. */
export const idOf = (index: number): string => `01JSCALE${String(index).padStart(18, '0')}`

const valueOf = (index: number, ver: number): unknown => ({
  schema: 'scale/manifest@v1',
  pi: idOf(index),
  ver,
  note: `${index} ${ver} `.padEnd(120, '-'),
})

/** Loads `count` entities in one commit. */
export async function load(backend: Backend, dataset: Dataset, count: number): Promise<void> {
  const staging = await backend.stage(dataset.name, 'files')
  async function* entries(): AsyncGenerator<ImportEntry> {
    let blocks: { cid: Uint8Array; bytes: Uint8Array; hold: 'staged' }[] = []
    for (let i = 0; i < count; i++) {
      if (i % FILE_EVERY !== 0) {
        yield { pi: idOf(i), ver: 1, value: valueOf(i, 1) }
        continue
      }
      const file = twoBlockFile(idOf(i))
      blocks.push(...file.blocks.map((block) => ({ ...block, hold: 'staged' as const })))
      if (blocks.length >= STAGED_AT_ONCE) {
        await staging.put(blocks)
        await staging.flush()
        blocks = []
      }
      yield { pi: idOf(i), ver: 1, tip: file.tip }
    }
    await staging.put(blocks)
    await staging.flush()
    for (let i = 0; i < LARGE; i++)
      yield { pi: `large-${i}`, ver: 1, value: Buffer.alloc(LARGE_BYTES, `large ${i} `) }
  }
  await dataset.bulkLoad(entries())
  await staging.end('committed')
}

const APPENDS = 500

/** Changes, new entities and deletions on top of the snapshot. */
export async function append(dataset: Dataset, count: number): Promise<void> {
  const changed = Array.from({ length: APPENDS }, (_, i) => {
    const index = Math.floor((i * count) / APPENDS)
    return { pi: idOf(index), value: valueOf(index, 2) }
  })
  await dataset.appendBatch(changed)
  const fresh = Array.from({ length: APPENDS / 10 }, (_, i) => ({
    pi: idOf(count + i),
    value: valueOf(count + i, 1),
  }))
  for (const one of fresh) await dataset.appendBatch([one])
  await dataset.appendBatch([1, 3, 5].map((i) => ({ pi: idOf(i), tip: null })))
}

const CHANGES = 1_000

/** One batch of changes at even distances. */
export async function change(dataset: Dataset, count: number): Promise<void> {
  await dataset.appendBatch(
    Array.from({ length: CHANGES }, (_, i) => {
      const index = Math.floor((i * count) / CHANGES)
      return { pi: idOf(index), value: valueOf(index, 3) }
    }),
  )
}

export const CHURN = { entities: 20_000, snapshots: 50, each: 800 } as const

/** The version of each entity after so many rounds: `each` of them change in a round. */
export function versionsAfter(rounds: number): number[] {
  const versions = Array.from({ length: CHURN.entities }, () => 1)
  for (let round = 1; round < rounds; round++)
    for (const index of churned(round)) versions[index] = (versions[index] ?? 0) + 1
  return versions
}

function churned(round: number): number[] {
  return Array.from({ length: CHURN.each }, (_, i) => (round * 7919 + i * 23) % CHURN.entities)
}

/** What changes in a round; in round 0 all is new. */
export function churnOf(round: number): ImportEntry[] {
  const versions = versionsAfter(round + 1)
  const indices = round === 0 ? [...versions.keys()] : churned(round)
  return indices.map((i) => churnEntry(i, versions[i] ?? 1))
}

export function churnEntry(index: number, ver: number): ImportEntry {
  return { pi: idOf(index), ver, value: valueOf(index, ver) }
}

/**
 * A dataset with many snapshots, content of one and of several blocks, deletions and a recent chain; and
 * the model of it: what each snapshot holds, known without asking a store.
 */
import type { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import { encodeJson } from '../../src/content/encode.ts'
import type { Block } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { twoBlockFile } from './two-block-file.ts'

/** `VERSION TIP` of each live entity by its id. */
export type Entities = ReadonlyMap<string, string>

export interface Model {
  /** By the number of the snapshot. */
  readonly snapshots: ReadonlyMap<number, Entities>
  readonly current: Entities
}

export interface Amounts {
  readonly entities: number
  /** Each changes a tenth of the entities and deletes one. */
  readonly snapshots: number
  readonly textBytes: number
}

const FILE_EVERY = 50
const CHURN = 10
const RECENT = 20
const BATCH = 2000

export const lineOf = (ver: number, tip: Uint8Array): string =>
  `${ver} ${Buffer.from(tip).toString('hex')}`

/** Makes the dataset `name`, which must not be there. */
export async function fill(
  cairn: Cairn,
  backend: Backend,
  name: string,
  amounts: Amounts,
): Promise<Model> {
  const { dataset } = await cairn.init(name, { chunkSize: 256 })
  const writer = new Writer(dataset, backend, amounts, name)
  const snapshots = new Map<number, Entities>()
  for (let round = 0; round < amounts.snapshots; round++) {
    await writer.round(round)
    const { seq } = await dataset.build()
    snapshots.set(seq, new Map(writer.live))
  }
  await writer.some(amounts.snapshots, RECENT)
  return { snapshots, current: new Map(writer.live) }
}

class Writer {
  readonly live = new Map<string, string>()
  readonly #versions = new Map<string, number>()
  readonly #dataset: Dataset
  readonly #backend: Backend
  readonly #amounts: Amounts
  readonly #name: string

  constructor(dataset: Dataset, backend: Backend, amounts: Amounts, name: string) {
    this.#dataset = dataset
    this.#backend = backend
    this.#amounts = amounts
    this.#name = name
  }

  async round(round: number): Promise<void> {
    const { entities } = this.#amounts
    const all = Array.from({ length: entities }, (_, i) => i)
    await this.#write(
      round,
      all.filter((i) => round === 0 || i % CHURN === round % CHURN),
    )
    if (round > 0) await this.#delete(this.#id((round * 37) % entities))
  }

  async some(round: number, count: number): Promise<void> {
    await this.#write(
      round,
      Array.from({ length: count }, (_, i) => i * 3),
    )
  }

  #id(i: number): string {
    return `e${String(i).padStart(7, '0')}`
  }

  async #write(round: number, numbers: readonly number[]): Promise<void> {
    for (let at = 0; at < numbers.length; at += BATCH) {
      const staging = await this.#backend.stage(this.#name, 'files of a test')
      const blocks: Block[] = []
      const entries = numbers
        .slice(at, at + BATCH)
        .map((i) => this.#entry(round, i, (more) => blocks.push(...more)))
      await staging.put(blocks.map((block) => ({ ...block, hold: 'staged' })))
      await staging.flush()
      await this.#dataset.appendBatch(entries)
      await staging.end('committed')
    }
  }

  #entry(round: number, i: number, take: (blocks: readonly Block[]) => void): ImportEntry {
    const pi = this.#id(i)
    if (i % FILE_EVERY === 0) {
      const { tip, blocks } = twoBlockFile(`${this.#name} ${pi} ${round}`)
      take(blocks)
      return { pi, ver: this.#next(pi, tip), tip }
    }
    const text = String(i).padEnd(this.#amounts.textBytes, '-')
    const value = { dataset: this.#name, round, pi, text }
    return { pi, ver: this.#next(pi, encodeJson(value).cid), value }
  }

  async #delete(pi: string): Promise<void> {
    const ver = (this.#versions.get(pi) ?? 0) + 1
    this.#versions.set(pi, ver)
    this.live.delete(pi)
    await this.#dataset.append({ pi, ver, tip: null })
  }

  #next(pi: string, tip: Uint8Array): number {
    const ver = (this.#versions.get(pi) ?? 0) + 1
    this.#versions.set(pi, ver)
    this.live.set(pi, lineOf(ver, tip))
    return ver
  }
}

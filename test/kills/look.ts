/** Reading all that a dataset keeps, and comparing it with what it should be. */
import { createHash } from 'node:crypto'
import { linksOf } from '../../src/content/links.ts'
import { Cairn } from '../../src/cairn.ts'
import { printCid, type Block } from '../../src/model/cid.ts'
import { decodeCommit } from '../../src/model/commit.ts'
import type { Entry } from '../../src/model/entry.ts'
import type { Backend } from '../../src/store/backend.ts'
import { lineOf, type Entities, type Model } from './material.ts'

export interface KeptState {
  readonly seq: number
  readonly entities: Entities
}

export interface Whole {
  /** Oldest first. */
  readonly snapshots: readonly KeptState[]
  readonly current: Entities
  readonly root: string
  readonly commit: number
  /** All blocks of all contents, by the hex of their CID. */
  readonly contents: ReadonlyMap<string, Block>
}

export type Ack = Readonly<{ pi: string; ver: number; tip: string }>

const BATCH = 512

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Reads every kept snapshot, every kept commit and every block of content; throws at what is not there. */
export async function readWhole(backend: Backend, name: string): Promise<Whole> {
  const dataset = await new Cairn(backend).dataset(name)
  const contents = new Map<string, Block>()
  const snapshots: KeptState[] = []
  const kept: number[] = []
  for await (const { seq } of dataset.snapshots()) kept.push(seq)
  for (const seq of kept.toReversed()) {
    const entities = await readEntities(
      dataset.entries({ at: { snapshot: `seq:${seq}` } }),
      backend,
      contents,
    )
    snapshots.push({ seq, entities })
  }
  const current = await readEntities(dataset.entries(), backend, contents)
  const { root } = await dataset.status()
  return { snapshots, current, root, commit: await readCommits(backend, name), contents }
}

async function readEntities(
  entries: AsyncIterable<Entry>,
  backend: Backend,
  contents: Map<string, Block>,
): Promise<Entities> {
  const found = new Map<string, string>()
  let tips: Uint8Array[] = []
  const flush = async (): Promise<void> => {
    await readContents(backend, tips, contents)
    tips = []
  }
  for await (const { pi, ver, tip } of entries) {
    if (tip === null) throw new Error(`the deleted ${pi} is listed`)
    found.set(pi, lineOf(ver, tip))
    if (tips.push(tip) === BATCH) await flush()
  }
  await flush()
  return found
}

async function readContents(
  backend: Backend,
  tips: readonly Uint8Array[],
  contents: Map<string, Block>,
): Promise<void> {
  for (let cids = tips; cids.length > 0;) {
    const wanted = cids.filter((cid) => !contents.has(hex(cid)))
    const blocks = await backend.getBlocks(wanted)
    const next: Uint8Array[] = []
    for (const [i, cid] of wanted.entries()) {
      const bytes = blocks[i]
      if (bytes === undefined) throw new Error(`the content ${printCid(cid)} is missing`)
      const digest = createHash('sha256').update(bytes).digest('hex')
      if (!hex(cid).endsWith(digest)) throw new Error(`the content ${printCid(cid)} is damaged`)
      contents.set(hex(cid), { cid, bytes })
      next.push(...linksOf(cid, bytes))
    }
    cids = next
  }
}

/** From the oldest that is kept to the newest, whose number is the answer. */
async function readCommits(backend: Backend, name: string): Promise<number> {
  const newest = await backend.newest(name, -1)
  if (newest === undefined) throw new Error(`${name} has no commit`)
  const { oldest } = decodeCommit(newest.bytes).commit
  for (let number = oldest; number <= newest.number; number++) {
    const bytes = await backend.getCommit(name, number)
    if (bytes === undefined) throw new Error(`commit ${number} of ${name} is missing`)
    if (decodeCommit(bytes).commit.number !== number) throw new Error(`commit ${number} is another`)
  }
  return newest.number
}

/** What differs; entities whose id begins with `live-` are the appender's and not looked at. */
export function compareEntities(what: string, found: Entities, expected: Entities): string[] {
  const problems: string[] = []
  for (const [pi, line] of expected)
    if (found.get(pi) !== line)
      problems.push(`${what}: ${pi} is ${found.get(pi) ?? 'missing'}, not ${line}`)
  for (const pi of found.keys())
    if (!expected.has(pi) && !isLive(pi)) problems.push(`${what}: ${pi} should not be there`)
  return problems.slice(0, 5)
}

const isLive = (pi: string): boolean => pi.startsWith('live-')

/** All that were acknowledged are there, and at most the one more that was under way. */
export function compareAcks(found: Entities, acks: readonly Ack[]): string[] {
  const lost = acks.filter(({ pi, ver, tip }) => found.get(pi) !== `${ver} ${tip}`)
  const live = [...found.keys()].filter(isLive).length
  const problems = lost.map(({ pi }) => `the acknowledged append of ${pi} is lost`).slice(0, 5)
  if (live > acks.length + 1)
    problems.push(`${live} appended entities for ${acks.length} acknowledged ones`)
  return problems
}

/** Every kept snapshot of the model that the store lists, and the current state; `atLeast` must be listed. */
export function compareWhole(whole: Whole, model: Model, atLeast: readonly number[]): string[] {
  const last = [...model.snapshots.keys()].at(-1) ?? 0
  const problems = compareEntities('current', whole.current, model.current)
  for (const { seq, entities } of whole.snapshots) {
    // What an appender built afterwards holds all of the model's current state.
    const expected = seq > last ? model.current : model.snapshots.get(seq)
    problems.push(...compareEntities(`snapshot ${seq}`, entities, expected ?? new Map()))
  }
  const listed = new Set(whole.snapshots.map(({ seq }) => seq))
  for (const seq of atLeast)
    if (!listed.has(seq)) problems.push(`snapshot ${seq} is no longer kept`)
  return problems
}

/**
 * The store under test beside the plain maps that say what it must hold, and the one check that follows
 * every command: what anybody can read of the dataset now is what the maps say.
 */
import { expect } from 'vitest'
import { encodeJson } from '../../src/content/encode.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { printCid, type CidBytes } from '../../src/model/cid.ts'
import type { Commit } from '../../src/model/commit.ts'
import type { Entry } from '../../src/model/entry.ts'
import type { Backend } from '../../src/store/backend.ts'
import { newestCommit, START } from '../helpers/engine.ts'
import {
  DatasetModel,
  entriesOf,
  isAlive,
  type Current,
  type Logged,
  type Snap,
} from '../helpers/upkeep-model.ts'

export const DAY = 86_400_000
export const CHUNK_SIZE = 64
const DELETED_DAYS = 5
const WRITERS = 2

/** `write`: what an append would write of it, by its rule alone. */
export interface Wanted {
  readonly pi: string
  /** Null deletes. */
  readonly n: number | null
  readonly ver?: number | undefined
  readonly expectVer?: number | undefined
  readonly exp?: number | undefined
}

const tipOf = (n: number): CidBytes => encodeJson({ n }).cid
const textOf = (n: number | null): string | null => (n === null ? null : printCid(tipOf(n)))

/** All numbers that scripts store are below this. */
export const VALUES = 4
const numbers = new Map(Array.from({ length: VALUES }, (_, n) => [textOf(n), n] as const))

/** What was stored, by its tip; null: it was deleted. */
export const valueOf = ({ tip }: Logged): number | null => numbers.get(tip) ?? null

export const byId = (a: { readonly pi: string }, b: { readonly pi: string }): number =>
  Buffer.compare(Buffer.from(a.pi), Buffer.from(b.pi))

export const lineOf = ({ pi, ver, tip }: Entry): string =>
  `${pi}@${ver} ${tip === null ? 'deleted' : printCid(tip)}`

export const lineOfLogged = ({ pi, ver, tip }: Logged): string => `${pi}@${ver} ${tip ?? 'deleted'}`

export class World {
  readonly backend: Backend
  readonly datasets: Map<string, DatasetModel> = new Map<string, DatasetModel>()
  now: number = START
  name = 'main'
  /** The commands so far, as code. */
  readonly script: string[] = []
  #cairns: Cairn[] = []
  #writer = 0
  /** The position that comes next, by identity. */
  readonly #next = new Map<string, number>()

  constructor(backend: Backend) {
    this.backend = backend
    this.reopen()
  }

  /** All processes end, and others begin. */
  reopen(): void {
    const open = (): Cairn => new Cairn(this.backend, { now: () => this.now, cacheBytes: 1 << 16 })
    this.#cairns = Array.from({ length: WRITERS }, open)
  }

  /** From now on the other process works. */
  switchWriter(): void {
    this.#writer = (this.#writer + 1) % WRITERS
  }

  get cairn(): Cairn {
    const cairn = this.#cairns[this.#writer]
    if (cairn === undefined) throw new Error('no writer')
    return cairn
  }

  get of(): DatasetModel {
    const of = this.datasets.get(this.name)
    if (of === undefined) throw new Error(`no dataset ${this.name}`)
    return of
  }

  dataset(): Promise<Dataset> {
    return this.cairn.dataset(this.name)
  }

  /** The moment by which expiry is judged: time never goes back from commit to commit. */
  get moment(): number {
    return Math.max(this.now, this.of.newest.ts)
  }

  async init(): Promise<void> {
    await this.cairn.init('main', { chunkSize: CHUNK_SIZE, deletedMs: DELETED_DAYS * DAY })
    const commit = await newestCommit(this.backend)
    const of = new DatasetModel('main')
    this.datasets.set('main', of)
    const cid = printCid(commit.snapshot)
    const snap: Snap = { cid, seq: 0, ts: START, tags: [], log: [], entries: new Map() }
    await this.made({ snap, chain: [] }, [snap])
  }

  /** Takes up the commit that was just made, and holds its numbers to the promises. */
  async made(state: Current, kept: readonly Snap[], of: DatasetModel = this.of): Promise<Commit> {
    const commit = await newestCommit(this.backend, of.name)
    const before = of.made.at(-1)
    if (before !== undefined) {
      expect(commit.number, 'one commit').toBe(before.number + 1)
      expect(commit.ts, 'times never go back').toBeGreaterThanOrEqual(before.ts)
    }
    const { number, ts, identity, next } = commit
    expect(next, 'positions never go back').toBeGreaterThanOrEqual(this.#next.get(identity) ?? 0)
    this.#next.set(identity, next)
    of.made.push({ number, ts, identity, state, kept })
    return commit
  }

  /** No position is given twice. */
  gave({ identity, next }: Commit, entries: readonly Logged[]): void {
    const given = this.of.positions.get(identity) ?? new Set<number>()
    this.of.positions.set(identity, given)
    for (const { position } of entries) {
      expect(given.has(position), `position ${position} again`).toBe(false)
      expect(position).toBeLessThan(next)
      given.add(position)
    }
  }

  /** What is known of an entity now: nothing of one that has expired. */
  known(
    pi: string,
    entries: ReadonlyMap<string, Logged> = entriesOf(this.of.newest.state),
  ): Logged | undefined {
    const entry = entries.get(pi)
    return entry !== undefined && isAlive(entry.exp, this.moment) ? entry : undefined
  }

  /** The verdict on an append by the rules of the design. */
  judge(
    { pi, n, ver, expectVer, exp }: Wanted,
    known: Logged | undefined,
  ): Logged | 'already' | 'conflict' {
    const tip = textOf(n)
    const same =
      known !== undefined && known.tip === tip && (exp === undefined || exp === known.exp)
    const asked = ver ?? (expectVer === undefined ? undefined : expectVer + 1)
    if (same && asked === known.ver) return 'already'
    if (expectVer !== undefined && expectVer !== (known?.ver ?? 0)) return 'conflict'
    const next = ver ?? (known?.ver ?? 0) + 1
    if (known !== undefined && next <= known.ver) return 'conflict'
    const until = exp ?? (n === null ? this.moment + DELETED_DAYS * DAY : null)
    return { pi, ver: next, tip, exp: until, position: -1 }
  }

  /** Live entities by id, those that have expired since the last build included. */
  counted(): Logged[] {
    return [...entriesOf(this.of.newest.state).values()]
      .filter(({ tip }) => tip !== null)
      .sort(byId)
  }

  living(): Logged[] {
    return this.counted().filter(({ exp }) => isAlive(exp, this.moment))
  }

  /** After every command, in the process that ran it. */
  async check(): Promise<void> {
    for (const [name, of] of this.datasets) if (name !== this.name) await this.#unmoved(of)
    const dataset = await this.dataset()
    const { number, state, kept } = this.of.newest
    const { items, totalCount } = await dataset.list({ limit: 10_000, order: 'asc' })
    expect(items.map(lineOf), 'the list').toEqual(this.living().map(lineOfLogged))
    const total = this.counted().length
    expect(totalCount, 'the count of the list').toBe(total)
    const { pointer } = await dataset.status()
    expect(pointer).toMatchObject({
      number,
      total_count: total,
      recent_count: state.chain.length,
      kept_count: kept.length,
      snapshot_seq: state.snap.seq,
      latest_snapshot_cid: state.snap.cid,
    })
  }

  /** What was done to one dataset does not touch another. */
  async #unmoved({ name, newest }: DatasetModel): Promise<void> {
    expect((await newestCommit(this.backend, name)).number, `commits of ${name}`).toBe(
      newest.number,
    )
  }
}

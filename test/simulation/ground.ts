/** What the steps of a simulation stand on: the site, the truth, the processes, and how a step is judged. */
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { isCairnError, type CairnError, type ErrorCode } from '../../src/errors.ts'
import type { OpenCar } from '../../src/car/state.ts'
import type { Entry } from '../../src/model/entry.ts'
import { sameCid } from '../../src/model/cid.ts'
import { Random } from '../helpers/random.ts'
import { Broken } from './check.ts'
import { Opening, type Site } from './opening.ts'
import type { TrueState, Truth } from './truth.ts'
import { START, type Owner } from './world.ts'

/** The earliest and the latest time that a step has seen. */
interface Seen {
  from: number
  to: number
}

export class Process {
  readonly owner: Owner
  readonly cairn: Cairn
  /** How far its clock is off, in milliseconds. */
  offset = 0
  /** Its leases may have become void under it. */
  slept = false
  readonly #site: Site
  readonly #watching = new Set<Seen>()

  constructor(site: Site, name: string, seed: number) {
    this.#site = site
    this.owner = site.world.owner(name)
    const random = new Random(seed)
    this.owner.slow = random.int(0, 2) === 0 ? random.scaled(20, 1000) : 0
    this.cairn = new Cairn(new Opening(site, this.owner), {
      now: () => this.now(),
      timers: site.world.timersOf(this.owner),
      randomBytes: (count) => Uint8Array.from({ length: count }, () => random.int(0, 255)),
      cacheBytes: random.int(0, 1) === 0 ? 1 : 1 << 20,
    })
  }

  now(): number {
    const now = START + this.#site.world.time + this.offset
    for (const seen of this.#watching) {
      seen.from = Math.min(seen.from, now)
      seen.to = Math.max(seen.to, now)
    }
    return now
  }

  watch(): { seen: Seen; stop: () => void } {
    const seen = { from: Infinity, to: -Infinity }
    this.#watching.add(seen)
    return { seen, stop: () => this.#watching.delete(seen) }
  }
}

export interface Ground {
  readonly site: Site
  readonly truth: Truth
  readonly entities: number
  readonly saved: OpenCar[]
  /** Tips of appends that failed for sure. */
  readonly never: Map<string, string>
  /** Tips that one append alone has. */
  readonly once: Map<string, string>
  readonly outcomes: Map<string, number>
  /** Whether reads were answered wrongly. */
  readonly liars: boolean
}

/** The commits of a dataset that were current while something went on. */
export class Window {
  readonly dataset: string
  readonly #truth: Truth
  readonly #first: number
  readonly #watch: ReturnType<Process['watch']>

  constructor({ truth }: Ground, process: Process, dataset: string) {
    this.dataset = dataset
    this.#truth = truth
    this.#first = truth.newest(dataset)
    this.#watch = process.watch()
  }

  /** Ends it: the states that were current, and those of them that were new. */
  close(): { states: TrueState[]; after: TrueState[]; seen: Seen } {
    this.#watch.stop()
    const last = this.#truth.newest(this.dataset)
    return {
      states: this.#truth.between(this.dataset, this.#first, last),
      after: this.#truth.between(this.dataset, this.#first + 1, last),
      seen: this.#watch.seen,
    }
  }

  shows(state: TrueState, pi: string, entry: Entry | undefined): boolean {
    return shows(state, pi, entry, this.#watch.seen)
  }
}

/** Whether a state shows an entity so, at some moment of a time; `undefined`: as absent. */
function shows(
  { entries, commit }: TrueState,
  pi: string,
  entry: Entry | undefined,
  { from, to }: Readonly<Seen>,
): boolean {
  const there = entries.get(pi)
  const [first, last] = [Math.max(from, commit.ts), Math.max(to, commit.ts)]
  const live = there !== undefined && there.tip !== null
  const mayBeGone = !live || (there.exp !== null && there.exp <= last)
  if (entry === undefined) return mayBeGone
  const mayBeThere = live && (there.exp === null || there.exp > first)
  return mayBeThere && there.ver === entry.ver && sameCid(there.tip, entry.tip)
}

/** Whether a state shows just these entities. */
export function showsAll(
  { entities }: Ground,
  state: TrueState,
  found: readonly Entry[],
  seen: Readonly<Seen>,
): boolean {
  const byPi = new Map(found.map((entry) => [entry.pi, entry]))
  const ids = Array.from({ length: entities }, (_, n) => `e${n}`)
  return byPi.size === found.length && ids.every((pi) => shows(state, pi, byPi.get(pi), seen))
}

const EXPECTED: readonly ErrorCode[] = [
  'conflict',
  'busy',
  'not_found',
  'base_missing',
  'chain_full',
]
const OF_FAULTS: readonly ErrorCode[] = [
  'backend_unavailable',
  'backend_timeout',
  'commit_unknown',
  'dataset_not_found',
]
const OF_LIARS: readonly ErrorCode[] = [
  'block_missing',
  'block_mismatch',
  'content_missing',
  'invalid_block',
  'pointer_damaged',
]
/** Steps that name content which may be gone: of old versions, or of a delta's base. */
const TAKES_OLD = / (?:put|revive|bulk|restore) /
const OF_SLEEPERS: readonly ErrorCode[] = ['block_missing', 'content_missing', 'closed']

/**
 * Errors that a step may end in: others came first, the store was away, it lied, the process overslept; or
 * another dataset was restored in the place of the one that it knew, all commits of which are forgotten.
 */
export function expectCoded(
  { liars, site, truth }: Ground,
  process: Process,
  what: string,
  error: unknown,
): CairnError {
  if (error instanceof Broken || !isCairnError(error))
    throw error instanceof Broken ? error : new Broken(`${what} threw ${describe(error)}`)
  const allowed =
    EXPECTED.includes(error.code) ||
    (site.faults.on && OF_FAULTS.includes(error.code)) ||
    (error.code === 'content_missing' && TAKES_OLD.test(what)) ||
    (liars && OF_LIARS.includes(error.code)) ||
    (process.slept && OF_SLEEPERS.includes(error.code)) ||
    (error.code === 'store_changed' && truth.wasReplaced)
  if (!allowed) throw new Broken(`${what} ended in ${describe(error)}`)
  return error
}

const describe = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error)

export async function existing(
  { cairn }: Process,
  truth: Truth,
  random: Random,
): Promise<Dataset | undefined> {
  const names = [...truth.datasets.keys()].sort()
  const name = random.int(0, 3) > 0 ? 'main' : names[random.int(0, names.length - 1)]
  return name === undefined ? undefined : cairn.dataset(name)
}

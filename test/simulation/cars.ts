/**
 * Steps that export and restore. An export holds a lease: whatever is forgotten and freed before its last
 * block is taken, its CAR is whole and holds the state that it says.
 */
import type { OpenCar } from '../../src/car/state.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { ExportCarOptions, ExportedCar } from '../../src/engine/export-car.ts'
import { bytesEqual, digestKey, sameCid, type CidBytes } from '../../src/model/cid.ts'
import type { Entry } from '../../src/model/entry.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import { Broken, collect, expectTrue } from './check.ts'
import { Window } from './ground.ts'
import type { TrueState, Truth } from './truth.ts'
import type { Turn } from './turn.ts'
import { START } from './world.ts'

/** An export as it came out. */
interface Export {
  readonly car: OpenCar
  readonly report: ExportedCar
  /** Of its blocks. */
  readonly keys: ReadonlySet<string>
}

type Options = Pick<ExportCarOptions, 'snapshot' | 'since'>

export async function exportCar(turn: Turn): Promise<void> {
  const kind = turn.random.int(0, 3)
  await exportAs(turn, [{}, {}, { snapshot: 'latest~1' }, { since: 'latest~1' }][kind] ?? {})
}

/** What came since the snapshot before, exported and restored beside it while that may be forgotten. */
export async function delta(turn: Turn): Promise<void> {
  const car = await exportAs(turn, { since: 'latest~1' })
  await turn.process.cairn.restoreCar([car], { as: 'copy', replace: true })
}

async function exportAs(turn: Turn, options: Options): Promise<OpenCar> {
  const { ground, process, dataset } = turn
  const window = new Window(ground, process, dataset.name)
  const exported = await exportSlowly(turn, options)
  const { states } = window.close()
  ground.saved.push(exported.car)
  await expectWhole(turn, exported, options.snapshot === undefined ? states : undefined)
  return exported.car
}

/** Where it goes to may be slow: between blocks all others may go on, and a prune come to its end. */
async function exportSlowly(
  { ground, process, dataset, random }: Turn,
  options: Options,
): Promise<Export> {
  const isSlow = random.int(0, 1) === 0
  const keys = new Set<string>()
  const onBlock = async (cid: CidBytes): Promise<void> => {
    keys.add(digestKey(cid))
    if (isSlow) await ground.site.world.turn(process.owner, 'sink')
  }
  return { ...(await carInMemory(dataset, options, onBlock)), keys }
}

/** What a CAR may hold: a snapshot, or a state with its chain. */
interface Held {
  readonly entries: TrueState['entries']
  readonly keys: ReadonlySet<string>
}

/** `states`: those that were current meanwhile; undefined for the export of an older snapshot. */
async function expectWhole(
  { ground: { truth, site }, process, what }: Turn,
  { car, report, keys }: Export,
  states: readonly TrueState[] | undefined,
): Promise<void> {
  const { since } = report
  const held = states === undefined ? [snapshotIn(truth, report)] : statesIn(truth, report, states)
  expectTrue(held.length > 0, `${what}: the CAR says that it holds what was never current`)
  const ofBase = new Set(since === null ? [] : truth.closure(since))
  const all = held.filter((one) => lacking(one, keys, ofBase) === 0)
  expectTrue(all.length > 0, `${what}: the CAR lacks ${lacking(held[0], keys, ofBase)} blocks`)
  const own = report.counts.checkpoint + report.counts['chain list']
  const exact = since !== null || all.some((one) => keys.size === one.keys.size + own)
  expectTrue(exact, `${what}: the CAR has blocks that do not belong to it`)
  const copy = new Cairn(openMemory(), {
    now: () => START,
    timers: site.world.timersOf(process.owner),
  })
  const cars = since === null ? [car] : [car, baseOf(truth, ofBase)]
  await copy.restoreCar(cars, { as: 'copy' }).catch((error: unknown) => {
    throw new Broken(`${what}: the CAR cannot be restored: ${String(error)}`)
  })
  const found = await collect((await copy.dataset('copy')).entries({ deleted: true }))
  expectTrue(
    all.some((one) => isHeldBy(one, found)),
    `${what}: the CAR holds other entities than it says`,
  )
}

const lacking = (
  held: Held | undefined,
  keys: ReadonlySet<string>,
  ofBase: ReadonlySet<string>,
): number => [...(held?.keys ?? [])].filter((key) => !keys.has(key) && !ofBase.has(key)).length

function snapshotIn(truth: Truth, { snapshot }: ExportedCar): Held {
  return { entries: truth.foldedOf(snapshot).entries, keys: truth.keysOf(snapshot) }
}

function statesIn(truth: Truth, report: ExportedCar, states: readonly TrueState[]): Held[] {
  const { snapshot, next, recentCount, totalCount } = report
  return states
    .filter(({ commit }) => bytesEqual(commit.snapshot, snapshot) && commit.next === next)
    .filter(({ commit }) => commit.recentCount === recentCount && commit.totalCount === totalCount)
    .map(({ entries, commit }) => ({ entries, keys: truth.keysOf(snapshot, commit) }))
}

/** All that a delta's base reaches, as it was written. */
function baseOf(truth: Truth, keys: ReadonlySet<string>): OpenCar {
  const has = (cid: CidBytes): boolean => keys.has(digestKey(cid))
  return {
    path: 'base.car',
    roots: [],
    has,
    offsetOf: () => 0,
    read: (cid) => (has(cid) ? truth.bytesOf(cid) : undefined),
  }
}

/** Whether a copy of a state holds what has not expired. */
function isHeldBy({ entries }: Held, found: readonly Entry[]): boolean {
  const same = found.every(({ pi, ver, tip }) => {
    const one = entries.get(pi)
    return one?.ver === ver && sameCid(one.tip, tip)
  })
  const byPi = new Set(found.map(({ pi }) => pi))
  return same && [...entries.values()].every(({ pi, exp }) => byPi.has(pi) || exp !== null)
}

export async function restore({ ground, process, random }: Turn): Promise<void> {
  const saved = ground.saved[random.int(0, Math.max(0, ground.saved.length - 1))]
  if (saved === undefined) return
  const as = ['copy', 'copy', 'main'][random.int(0, 2)]
  await process.cairn.restoreCar([saved], { as, replace: true })
}

/** What processes do, each step drawn from its own seed, and what must be true of its answer. */
import { CID } from 'multiformats/cid'
import { openMemory } from '../../src/backend/memory.ts'
import { encodeJson } from '../../src/content/encode.ts'
import { refuseMissing } from '../../src/content/complete.ts'
import { Cairn } from '../../src/engine/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import { isCairnError } from '../../src/errors.ts'
import { parseCid, printCid, sameCid, type CidBytes } from '../../src/model/cid.ts'
import type { Entry } from '../../src/model/entry.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import { Random } from '../helpers/random.ts'
import { collect, expectTrue } from './check.ts'
import { existing, expectCoded, showsAll, Window, type Ground, type Process } from './ground.ts'
import type { Placed, TrueState } from './truth.ts'
import { START } from './world.ts'

export const KINDS = [
  'put',
  'revive',
  'retry',
  'get',
  'list',
  'entries',
  'history',
  'past',
  'build',
  'upkeep',
  'bulk',
  'rollback',
  'prune',
  'export',
  'restore',
  'diff',
] as const
export type Kind = (typeof KINDS)[number]

export interface Step {
  readonly kind: Kind
  readonly seed: number
}

interface Turn {
  readonly ground: Ground
  readonly process: Process
  readonly dataset: Dataset
  readonly random: Random
  /** Names the step. */
  readonly what: string
}

export async function play(ground: Ground, process: Process, { kind, seed }: Step): Promise<void> {
  const random = new Random(seed)
  const what = `${process.owner.name} ${kind} ${seed}`
  ground.site.world.note(`${what} begins`)
  let outcome = 'done'
  try {
    const dataset = await existing(process, ground.truth, random)
    if (dataset !== undefined) await DOES[kind]({ ground, process, dataset, random, what })
  } catch (error) {
    outcome = expectCoded(ground, process, what, error).code
  }
  ground.truth.look()
  const key = `${kind}: ${outcome}`
  ground.outcomes.set(key, (ground.outcomes.get(key) ?? 0) + 1)
  ground.site.world.note(`${what} ends: ${outcome}`)
}

const DOES: Readonly<Record<Kind, (turn: Turn) => Promise<void>>> = {
  put,
  revive,
  retry,
  get,
  list,
  entries: allEntries,
  history,
  past,
  build,
  upkeep,
  bulk,
  rollback,
  prune,
  export: exportCar,
  restore,
  diff,
}

const idOf = (n: number): string => `e${n}`
const anyId = ({ ground, random }: Turn): string => idOf(random.int(0, ground.entities - 1))

// --- Writing ----------------------------------------------------------------------------------------

type Item = ImportEntry & { readonly pi: string; readonly value?: unknown }

/** Entries with contents that no other step has; some link to what is there, some delete. */
function itemsOf(turn: Turn, most: number): Item[] {
  const { ground, random, dataset, process } = turn
  const newest = ground.truth.at(dataset.name, ground.truth.newest(dataset.name))
  const ids = [...new Set(Array.from({ length: random.int(1, most) }, () => anyId(turn)))]
  const live = [...newest.entries.values()].flatMap(({ tip }) => tip ?? [])
  // What was a tip once may be gone.
  const tips = random.int(0, 1) === 0 ? live : [...ground.truth.appendedTips.keys()].map(parseCid)
  let n = 0
  return ids.map((pi) => {
    const own = `${turn.what} ${pi}`
    const link = tips[random.int(0, Math.max(0, tips.length - 1))]
    const exp = random.int(0, 7) === 0 ? process.now() + random.scaled(10, 100_000) : undefined
    const kind = random.int(0, 9)
    if (kind === 0) return { pi, tip: null }
    if (kind === 1) return { pi, value: { shared: random.int(0, 2) } }
    if (kind === 2) return { pi, tip: new Uint8Array([1, 0x55, 0, 2, n++, random.int(0, 9)]) }
    if (kind < 5 && link !== undefined && newest.commit.settings.content === 'linked')
      return { pi, value: { own, link: CID.decode(link) }, exp }
    return { pi, value: { own }, exp }
  })
}

/** The tips of items that nobody else has. */
const ownTips = (items: readonly Item[]): string[] =>
  items.flatMap(({ value }) =>
    typeof value === 'object' && value !== null && 'own' in value
      ? [printCid(encodeJson(value).cid)]
      : [],
  )

async function put(turn: Turn): Promise<void> {
  const items = itemsOf(turn, turn.random.int(0, 1) === 0 ? 1 : 6).map((item) =>
    turn.random.int(0, 5) === 0 ? { ...item, ...expecting(turn, item.pi) } : item,
  )
  await append(turn, items)
}

/** What is no longer current, and may be forgotten at any moment, is linked to again. */
async function revive(turn: Turn): Promise<void> {
  const { ground, dataset, random, what } = turn
  const newest = ground.truth.newest(dataset.name)
  const now = ground.truth.at(dataset.name, newest)
  const before = ground.truth.between(dataset.name, now.commit.oldest, newest)
  const live = new Set([...now.entries.values()].map(({ tip }) => String(tip)))
  const old = before
    .flatMap(({ entries }) => [...entries.values()].flatMap(({ tip }) => tip ?? []))
    .filter((tip) => !live.has(String(tip)))
  const link = old[random.int(0, Math.max(0, old.length - 1))]
  if (link === undefined) return put(turn)
  await append(turn, [{ pi: anyId(turn), value: { own: what, link: CID.decode(link) } }])
}

/** What the entity must be like now, as the newest commit has it. */
function expecting({ ground, dataset }: Turn, pi: string): { expectVer: number } {
  const { entries } = ground.truth.at(dataset.name, ground.truth.newest(dataset.name))
  return { expectVer: entries.get(pi)?.ver ?? 0 }
}

async function append(turn: Turn, items: readonly Item[]): Promise<void> {
  await refusedFor(turn, items, () => appendOnce(turn, items))
}

/** What is refused must not be there, now or later, and nothing twice. */
async function refusedFor(
  { ground, what }: Turn,
  items: readonly Item[],
  work: () => Promise<unknown>,
): Promise<void> {
  for (const tip of ownTips(items)) ground.once.set(tip, what)
  try {
    await work()
  } catch (error) {
    if (isCairnError(error) && error.code !== 'commit_unknown')
      for (const tip of ownTips(items)) ground.never.set(tip, `${what}: ${error.code}`)
    throw error
  }
}

async function appendOnce(turn: Turn, items: readonly Item[]): Promise<void> {
  const { ground, process, dataset, what } = turn
  const window = new Window(ground, process, dataset.name)
  const answers = await dataset.appendBatch(items)
  const { states, after } = window.close()
  expectTrue(answers.length === items.length, `${what}: an answer for each entry`)
  for (const [i, { pi, ver, position, status }] of answers.entries()) {
    const item = items[i]
    const tip = item && 'value' in item ? encodeJson(item.value).cid : tipOf(item)
    const is = (one: Placed): boolean => one.pi === pi && one.ver === ver && sameCid(one.tip, tip)
    const there =
      status === 'appended'
        ? after.some(({ added }) => added.some((one) => one.position === position && is(one)))
        : states.some(({ entries, added }) => [...entries.values(), ...added].some(is))
    expectTrue(there, `${what}: ${pi}@${ver} at ${position} was acknowledged (${status})`)
  }
}

const tipOf = (item: Item | undefined): CidBytes | null =>
  item !== undefined && 'tip' in item && item.tip instanceof Uint8Array ? item.tip : null

/** An append with its version, made twice at once and once more: it is there once at most. */
async function retry(turn: Turn): Promise<void> {
  const { ground, process, what } = turn
  const pi = anyId(turn)
  const entry = { pi, ver: expecting(turn, pi).expectVer + 1, value: { own: what } }
  const one = async (): Promise<void> => {
    try {
      await appendOnce(turn, [entry])
    } catch (error) {
      expectCoded(ground, process, what, error)
    }
  }
  await Promise.all([one(), one()])
  await one()
}

async function bulk(turn: Turn): Promise<void> {
  const items = itemsOf(turn, 30)
  await refusedFor(turn, items, () => turn.dataset.bulkLoad(items))
}

// --- Reading ----------------------------------------------------------------------------------------

async function get(turn: Turn): Promise<void> {
  const { ground, process, dataset, what } = turn
  const pi = anyId(turn)
  const window = new Window(ground, process, dataset.name)
  const entry = await dataset.get(pi)
  const { states } = window.close()
  const shown = states.some((state) => window.shows(state, pi, entry))
  expectTrue(shown, `${what}: ${pi} is ${entry === undefined ? 'absent' : `@${entry.ver}`}`)
}

/** A page at a time: whatever did not change meanwhile is met once, and what is met was there. */
async function list(turn: Turn): Promise<void> {
  const { ground, process, dataset, random, what } = turn
  const order = random.int(0, 1) === 0 ? 'asc' : 'desc'
  const limit = random.int(1, ground.entities)
  const window = new Window(ground, process, dataset.name)
  const met: Entry[] = []
  let cursor: string | undefined
  do {
    const page = await dataset.list({ limit, order, cursor })
    met.push(...page.items)
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
  const { states } = window.close()
  const byPi = new Map(met.map((entry) => [entry.pi, entry]))
  expectTrue(byPi.size === met.length, `${what}: an entity is met twice`)
  for (let n = 0; n < ground.entities; n++) {
    const shown = states.some((state) => window.shows(state, idOf(n), byPi.get(idOf(n))))
    expectTrue(shown, `${what}: ${idOf(n)} is ${byPi.has(idOf(n)) ? 'wrong' : 'missed'}`)
  }
}

/** All of one state. */
async function allEntries(turn: Turn): Promise<void> {
  const { ground, process, dataset, what } = turn
  const window = new Window(ground, process, dataset.name)
  const found = await tolerant(collect(dataset.entries()))
  const { states, seen } = window.close()
  if (found === undefined) return
  const shown = states.some((state) => showsAll(ground, state, found, seen))
  expectTrue(shown, `${what}: the entities are those of no commit`)
}

/** A stream without a lease may end early, loudly, when a prune takes its state. */
async function tolerant<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (isCairnError(error, 'block_missing')) return undefined
    throw error
  }
}

async function history(turn: Turn): Promise<void> {
  const { ground, process, dataset, what } = turn
  const pi = anyId(turn)
  const window = new Window(ground, process, dataset.name)
  const lines = await tolerant(collect(dataset.history(pi)))
  const { states } = window.close()
  if (lines === undefined) return
  const found = lines.map(({ entry, position }) => `${position}: ${entry.ver}`)
  const isHistory = (state: TrueState): boolean => {
    const all = ground.truth.logOf(state).filter((one) => one.pi === pi)
    const all2 = all.toReversed().map(({ position, ver }) => `${position}: ${ver}`)
    const recent = state.chain.flatMap(({ entries }) => entries).filter((one) => one.pi === pi)
    return found.length >= recent.length && found.every((line, i) => line === all2[i])
  }
  expectTrue(states.some(isHistory), `${what}: the history of ${pi} is ${found.join(', ')}`)
}

/** A kept commit reads as it was made. */
async function past(turn: Turn): Promise<void> {
  const { ground, dataset, random, what } = turn
  const newest = ground.truth.newest(dataset.name)
  const number = random.int(ground.truth.at(dataset.name, newest).commit.oldest, newest)
  const found = await tolerant(collect(dataset.entries({ at: { commit: number } })))
  if (found === undefined) return
  const state = ground.truth.at(dataset.name, number)
  const { ts } = state.commit
  const same = showsAll(ground, state, found, { from: ts, to: ts })
  expectTrue(same, `${what}: commit ${number} has changed`)
}

async function diff({ dataset }: Turn): Promise<void> {
  await tolerant(collect(dataset.diff('latest~1', 'latest')))
}

// --- Upkeep -----------------------------------------------------------------------------------------

async function build({ dataset, random }: Turn): Promise<void> {
  const tags = random.int(0, 4) === 0 ? ['kept'] : undefined
  await dataset.build({ force: random.int(0, 2) === 0, tags })
}

/** As cron does it: whatever was is forgotten. */
async function upkeep({ ground, process, dataset, what }: Turn): Promise<void> {
  try {
    await dataset.build({ force: true })
  } catch (error) {
    expectCoded(ground, process, what, error)
  }
  await dataset.prune({ policy: { last: 1 } })
}

async function rollback(turn: Turn): Promise<void> {
  const { ground, dataset, random, what } = turn
  const newest = ground.truth.newest(dataset.name)
  const commit = random.int(ground.truth.at(dataset.name, newest).commit.oldest, newest)
  const keepChain = random.int(0, 1) === 0
  const toCommit = random.int(0, 2) > 0
  const target = toCommit ? { commit } : { snapshot: `latest~${random.int(0, 2)}` }
  const { undo } = await dataset.rollback(target, { keepChain })
  const made = ground.truth.at(dataset.name, undo + 1)
  expectTrue(made.commit.reason === 'rollback', `${what}: commit ${undo + 1} is the rollback`)
  if (!toCommit) return
  for (const [pi, one] of ground.truth.at(dataset.name, commit).entries) {
    const there = made.entries.get(pi)
    const same = there !== undefined && there.ver === one.ver && sameCid(there.tip, one.tip)
    const later = keepChain && there !== undefined && there.position >= one.position
    expectTrue(same || later, `${what}: ${pi} is not as in commit ${commit}`)
  }
}

async function prune({ dataset, random }: Turn): Promise<void> {
  const tags = random.int(0, 1) === 0 ? ['kept'] : []
  await dataset.prune({ policy: { last: random.int(1, 3), tags } })
}

/** What was exported holds a state that was current meanwhile, content and all: a new store tells. */
async function exportCar(turn: Turn): Promise<void> {
  const { ground, process, dataset, random, what } = turn
  const window = new Window(ground, process, dataset.name)
  const kind = random.int(0, 3)
  const options = [{}, {}, { snapshot: 'latest~1' }, { since: 'latest~1' }][kind]
  const { car } = await carInMemory(dataset, options)
  const { states } = window.close()
  ground.saved.push(car)
  if (kind > 1) return
  const timers = ground.site.world.timersOf(process.owner)
  const copy = new Cairn(openMemory(), { now: () => START, timers })
  await copy.restoreCar([car], { as: 'copy' })
  const found = await collect((await copy.dataset('copy')).entries({ deleted: true }))
  const isHeld = (state: TrueState): boolean => isHeldBy(state, found)
  expectTrue(states.some(isHeld), `${what}: the CAR holds no state that was current`)
}

/** Whether a copy of a state holds what has not expired. */
function isHeldBy({ entries }: TrueState, found: readonly Entry[]): boolean {
  const same = found.every(({ pi, ver, tip }) => {
    const one = entries.get(pi)
    return one?.ver === ver && sameCid(one.tip, tip)
  })
  const byPi = new Set(found.map(({ pi }) => pi))
  return same && [...entries.values()].every(({ pi, exp }) => byPi.has(pi) || exp !== null)
}

async function restore({ ground, process, random }: Turn): Promise<void> {
  const saved = ground.saved[random.int(0, Math.max(0, ground.saved.length - 1))]
  if (saved === undefined) return
  const as = ['copy', 'copy', 'main'][random.int(0, 2)]
  await process.cairn.restoreCar([saved], { as, replace: true })
}

/** At the end: every entity's content is whole. */
export async function proveContent(
  dataset: Dataset,
  backend: Parameters<typeof refuseMissing>[0],
): Promise<void> {
  const found = await collect(dataset.entries())
  const tips = found.flatMap(({ tip }) => tip ?? [])
  await refuseMissing(backend, tips, undefined)
}

/** Steps that append: what is acknowledged is there, what is refused is not, and nothing is there twice. */
import { CID } from 'multiformats/cid'
import { encodeJson } from '../../src/content/encode.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import { isCairnError } from '../../src/errors.ts'
import { parseCid, printCid, sameCid, type CidBytes } from '../../src/model/cid.ts'
import { expectTrue } from './check.ts'
import { expectCoded, Window } from './ground.ts'
import type { Placed } from './truth.ts'
import { anyId, type Turn } from './turn.ts'

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

export async function put(turn: Turn): Promise<void> {
  const items = itemsOf(turn, turn.random.int(0, 1) === 0 ? 1 : 6).map((item) =>
    turn.random.int(0, 5) === 0 ? { ...item, ...expecting(turn, item.pi) } : item,
  )
  await append(turn, items)
}

/** What is no longer current, and may be forgotten at any moment, is linked to again. */
export async function revive(turn: Turn): Promise<void> {
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
export async function retry(turn: Turn): Promise<void> {
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

export async function bulk(turn: Turn): Promise<void> {
  const items = itemsOf(turn, 30)
  await refusedFor(turn, items, () => turn.dataset.bulkLoad(items))
}

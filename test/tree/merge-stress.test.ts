/**
 * Merges against a build from scratch by the naive implementation: large trees of several levels, and
 * edits chosen to hurt. A case is replayed by CAIRN_STRESS_SEED; CAIRN_STRESS_SECONDS lets it run long.
 */
import { expect, test } from 'vitest'
import { cidKey, printCid, type CidBytes } from '../../src/model/cid.ts'
import type { Entry } from '../../src/model/entry.ts'
import { idOfKey, keyOf } from '../../src/model/entity-id.ts'
import type { CutNode } from '../../src/tree/chunker.ts'
import { entry, tipOf } from '../helpers/entries.ts'
import { byId, naiveHash, NaiveBuilder, type NaiveTree } from '../helpers/naive-tree.ts'
import { Random } from '../helpers/random.ts'
import { BlockMap, merge, readAll, type BuiltTree } from '../helpers/tree.ts'

const seconds = Number(process.env['CAIRN_STRESS_SECONDS'] ?? '12')
const firstSeed = Number(process.env['CAIRN_STRESS_SEED'] ?? '1')

const isLow = (id: string, chunkSize: number, level = 0): boolean =>
  naiveHash(Buffer.from(id), level) * chunkSize < 2 ** 34

/** In which 64th of the range the hash falls. */
const band = (id: string): number => Math.floor(naiveHash(Buffer.from(id), 0) / 2 ** 26)

/** Where an id comes from; `n` grows with the order of ids, more or less. */
type Ids = (n: number) => string

function chooseIds(random: Random, chunkSize: number): { name: string; id: Ids } {
  const padded = (n: number): string => String(n).padStart(8, '0')
  const suffixed = (wanted: (id: string) => boolean) => (n: number) => {
    for (let i = 0; ; i++) {
      const id = `${padded(n)}${i.toString(36)}`
      if (wanted(id)) return id
    }
  }
  return random.pick([
    { name: 'counted', id: padded },
    { name: 'scattered', id: (n) => naiveHash(Buffer.from(padded(n)), 99).toString(36) },
    { name: 'never low', id: suffixed((id) => !isLow(id, chunkSize)) },
    {
      name: 'never low on any level',
      id: suffixed((id) => [0, 1, 2].every((level) => !isLow(id, chunkSize, level))),
    },
    { name: 'always low', id: suffixed((id) => isLow(id, chunkSize)) },
    {
      name: 'low now and then',
      id: (n) => suffixed((id) => isLow(id, chunkSize) === (n % 500 === 0))(n),
    },
    // Hashes that fall or rise put the lowest of a window at its end or its beginning.
    { name: 'falling', id: (n) => suffixed((id) => band(id) === 63 - (n % 60))(n) },
    { name: 'rising', id: (n) => suffixed((id) => band(id) === 4 + (n % 60))(n) },
    { name: 'long', id: (n) => padded(n) + 'x'.repeat(naiveHash(Buffer.from(padded(n)), 7) % 505) },
    { name: 'longest', id: (n) => padded(n).padEnd(512, '~') },
    {
      name: 'not ASCII',
      id: (n) => `${['é', '日', '\u{1f600}', 'a', '\u{feff}', '\u{7f}'][n % 6] ?? ''}${padded(n)}`,
    },
  ])
}

/** One dataset under test: what it holds by the plainest bookkeeping, and its tree. */
class Subject {
  readonly store = new BlockMap()
  readonly state = new Map<string, Entry>()
  readonly chunkSize: number
  readonly naive: NaiveBuilder
  at = 0
  built: BuiltTree | undefined
  tree: NaiveTree | undefined

  constructor(chunkSize: number) {
    this.chunkSize = chunkSize
    this.naive = new NaiveBuilder(chunkSize)
  }

  get sorted(): Entry[] {
    return [...this.state.values()].sort(byId)
  }

  async apply(edits: readonly Entry[], runLength: number): Promise<void> {
    for (const edit of edits) this.state.set(edit.pi, edit)
    for (const [pi, { exp }] of this.state)
      if (exp !== null && exp <= this.at) this.state.delete(pi)
    const before = new Set(this.store.blocks.keys())
    const fresh = new BlockMap()
    const { store, at, chunkSize, built } = this
    const base = built === undefined ? {} : { base: built }
    const sink = new Recorder(store, fresh)
    this.built = await merge(edits, { store: sink, at, chunkSize, runLength, ...base })
    const tree = this.naive.build(this.sorted)
    this.#compare(this.built, tree)
    this.#compareWritten(before, fresh, tree)
    this.tree = tree
  }

  #compare(built: BuiltTree, tree: NaiveTree): void {
    const { last, count, live, bytes, exp, cid } = built.root
    const { root, levels } = tree
    expect(printCid(cid)).toBe(root.cid.toString())
    expect([last, count, live, bytes, exp]).toEqual([
      keyOf(root.last),
      root.count,
      root.live,
      root.bytes,
      root.exp,
    ])
    expect(built.leafCount).toBe(levels[0]?.length)
  }

  /** Every node of the new tree is there, and nothing was written that was not needed. */
  #compareWritten(before: ReadonlySet<string>, fresh: BlockMap, tree: NaiveTree): void {
    const old = new Set((this.tree?.levels ?? []).flat().map(({ cid }) => cidKey(cid.bytes)))
    const now = new Set(tree.levels.flat().map(({ cid }) => cidKey(cid.bytes)))
    for (const key of now) expect(before.has(key) || fresh.blocks.has(key)).toBe(true)
    for (const key of fresh.blocks.keys()) {
      expect(now.has(key)).toBe(true)
      expect(old.has(key)).toBe(false)
    }
    // What is no longer in the tree must not be read by the next merge.
    for (const key of this.store.blocks.keys()) if (!now.has(key)) this.store.blocks.delete(key)
  }
}

/** Reads from one store; writes to it and to another, by which a test sees what a merge wrote. */
class Recorder extends BlockMap {
  readonly #store: BlockMap
  readonly #fresh: BlockMap

  constructor(store: BlockMap, fresh: BlockMap) {
    super()
    this.#store = store
    this.#fresh = fresh
  }

  override getBlocks(cids: readonly CidBytes[]): Promise<(Uint8Array | undefined)[]> {
    return this.#store.getBlocks(cids)
  }

  override async put(node: CutNode): Promise<void> {
    await this.#store.put(node)
    await this.#fresh.put(node)
  }
}

let version = 1

function put(pi: string, random: Random, at: number): Entry {
  version += 1
  const kind = random.int(0, 19)
  return entry(pi, {
    ver: version,
    tip: kind === 0 ? null : tipOf(`${pi}/${version}`),
    exp: kind < 3 ? at + random.int(1, 400) : null,
  })
}

const drop = (pi: string, at: number): Entry =>
  entry(pi, { ver: (version += 1), tip: null, exp: at })

/** The edits of one merge. */
function chooseEdits(
  subject: Subject,
  ids: Ids,
  span: number,
  random: Random,
): { kind: string; edits: Entry[] } {
  const { at, chunkSize } = subject
  const held = subject.sorted.map(({ pi }) => pi)
  const from = random.int(0, Math.max(0, held.length - 1))
  const some = (most: number): number => random.scaled(1, Math.max(1, most))
  const newPut = (n: number): Entry => put(ids(n), random, at)
  const counted = (count: number, first: number): Entry[] =>
    Array.from({ length: count }, (_, i) => newPut(first + i))
  const nodes = subject.tree?.root.count === 0 ? [] : (subject.tree?.levels ?? []).flat()
  const ends = nodes.map(({ last }) => last)
  const kinds: readonly [string, () => Entry[]][] = [
    ['nothing', () => []],
    ['one', () => [newPut(random.int(0, span))]],
    ['scattered puts', () => Array.from({ length: some(2000) }, () => newPut(random.int(0, span)))],
    [
      'scattered drops',
      () =>
        Array.from({ length: some(500) }, () =>
          drop(held[random.int(0, held.length)] ?? 'gone', at),
        ),
    ],
    ['a range put', () => counted(some(4000), random.int(0, span))],
    ['a range dropped', () => held.slice(from, from + some(held.length)).map((pi) => drop(pi, at))],
    ['a range dropped to the end', () => held.slice(from).map((pi) => drop(pi, at))],
    ['the beginning dropped', () => held.slice(0, some(held.length)).map((pi) => drop(pi, at))],
    [
      'nearly all dropped',
      () => held.filter(() => random.next() < 0.999).map((pi) => drop(pi, at)),
    ],
    ['all dropped', () => held.map((pi) => drop(pi, at))],
    ['behind the end', () => counted(some(1000), span + random.int(0, span))],
    [
      'before the beginning',
      () => Array.from({ length: some(300) }, () => put(`!${random.int(0, 9999)}`, random, at)),
    ],
    [
      'ends of nodes dropped',
      () => ends.filter(() => random.next() < 0.5).map((pi) => drop(pi, at)),
    ],
    [
      'ends of nodes edited',
      () => ends.filter(() => random.next() < 0.1).map((pi) => put(pi, random, at)),
    ],
    [
      'behind ends of nodes',
      () => ends.filter(() => random.next() < 0.1).map((pi) => put(nextId(pi), random, at)),
    ],
    ['low ids put', () => lowIds(held, from, chunkSize).map((pi) => put(pi, random, at))],
    ['low ids dropped', () => held.filter((pi) => isLow(pi, chunkSize)).map((pi) => drop(pi, at))],
    ['unchanged', () => held.slice(from, from + 50).flatMap((pi) => subject.state.get(pi) ?? [])],
    ['drops of what is not there', () => counted(some(50), span * 3).map(({ pi }) => drop(pi, at))],
  ]
  const [kind, make] = kinds[random.int(0, kinds.length - 1)] ?? ['nothing', (): Entry[] => []]
  return { kind, edits: make() }
}

/** An id right behind another: its last character doubled, or the next one in place of it. */
function nextId(pi: string): string {
  return keyOf(pi).length < 512
    ? `${pi}!`
    : `${idOfKey(
        keyOf(pi)
          .slice(0, -1)
          .replace(/[\u0080-\u00ff]+$/, ''),
      )}\u{7f}`
}

/** New ids with a low hash, in the middle of what is held. */
function lowIds(held: readonly string[], from: number, chunkSize: number): string[] {
  return held.slice(from, from + 20).flatMap((pi) => {
    const candidates = Array.from({ length: 400 }, (_, i) => `${pi}.${i}`)
    return candidates.find((id) => Buffer.byteLength(id) <= 512 && isLow(id, chunkSize)) ?? []
  })
}

async function stressCase(seed: number): Promise<number> {
  const random = new Random(seed)
  const chunkSize = random.pick([64, 64, 64, 65, 77, 128, 256, 1000, 10_000])
  const { name, id } = chooseIds(random, chunkSize)
  const size = random.scaled(
    1,
    ['longest', 'long', 'falling', 'rising'].includes(name) ? 6000 : 30_000,
  )
  const subject = new Subject(chunkSize)
  const history: string[] = [`seed ${seed}: ${size} ids ${name}, chunk size ${chunkSize}`]
  try {
    await subject.apply(
      Array.from({ length: size }, (_, n) => put(id(n * 2), random, 0)),
      random.pick([1000, 37, 5000]),
    )
    const steps = random.int(4, 12)
    for (let step = 0; step < steps; step++) {
      subject.at += random.pick([0, 1, 20, 150])
      let { kind, edits } = chooseEdits(subject, id, size * 2, random)
      if (random.int(0, 2) === 0) {
        const more = chooseEdits(subject, id, size * 2, random)
        kind += ` and ${more.kind}`
        edits = [...edits, ...more.edits]
      }
      const runLength = random.pick([1, 7, 100, 1000])
      history.push(`at ${subject.at}: ${kind} (${edits.length}), runs of ${runLength}`)
      await subject.apply(edits, runLength)
    }
    if (random.int(0, 9) === 0 && subject.built !== undefined) {
      expect(await readAll(subject.store, subject.built.root.cid)).toEqual(subject.sorted)
    }
    return steps + 1
  } catch (error) {
    throw new Error(`${history.join('\n')}\n${String(error)}`, { cause: error })
  }
}

test(
  'random merges of large trees give the tree, the counts and just the new nodes of a naive build',
  { timeout: seconds * 1000 + 120_000 },
  async () => {
    const deadline = Date.now() + seconds * 1000
    let cases = 0
    let merges = 0
    for (let seed = firstSeed; Date.now() < deadline; seed++) {
      merges += await stressCase(seed)
      cases += 1
      if (cases % 200 === 0) process.stderr.write(`${cases} cases, ${merges} merges\n`)
    }
    expect(cases).toBeGreaterThan(0)
    if (seconds > 60) process.stderr.write(`${cases} cases, ${merges} merges\n`)
  },
)

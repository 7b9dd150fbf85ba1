/**
 * Verifying CARs without a store: everything that is wrong with them, not the first thing only.
 *
 *   1 walk what each root reaches, as a restore does: the tree proved to be the one its entries make,
 *     counts, order, links, nothing missing
 *   2 read all sections in order: each is what its CID says, none comes twice, none is reached by nothing
 *
 * Memory does not grow with the CARs: places and blocks seen are in tables that spill to files, and of
 * the problems the first MOST_PROBLEMS are kept and all counted.
 */
import { setImmediate } from 'node:timers/promises'
import type { CarFile, CarSection } from '../car/file.ts'
import { factsOf, stateOfRoot, type CarState } from '../car/state.ts'
import { Overlay } from '../chain/overlay.ts'
import type { LoadedBlock } from '../chain/walk.ts'
import { CairnError, toCairnError, type ErrorCode } from '../errors.ts'
import { decodeChainBlock } from '../model/chain-block.ts'
import { inlineBytes, cidMatches, parseCid, printCid, type CidBytes } from '../model/cid.ts'
import { seenIn, type Seen } from '../reach/met.ts'
import { localSource } from '../reach/source.ts'
import { Walk } from '../reach/walk.ts'
import { NodeStore } from '../tree/node-store.ts'
import { Tree } from '../tree/tree.ts'
import { DigestMap } from '../util/digest-map.ts'
import { noCounts } from './car-counts.ts'
import type { LongOptions } from './context.ts'
import {
  verdictOf,
  type CarProblem,
  type CarVerification,
  type VerifiedState,
} from './car-verification.ts'
import { overlayEntries } from './state.ts'

export interface VerifyCarOptions extends LongOptions {
  /** The folder for what does not fit in memory; the system's unless given. */
  readonly tempDir?: string | undefined
}

const MOST_PROBLEMS = 1000
/** Of a walk, so much goes on before others get their turn, in blocks or bytes. */
const TURN_BLOCKS = 1024
const TURN_BYTES = 4 << 20

export async function verifyCar(
  cars: readonly CarFile[],
  options: VerifyCarOptions = {},
): Promise<CarVerification> {
  const table = new DigestMap({ tempDir: options.tempDir })
  try {
    return await new Verification(cars, seenIn(table), options).run()
  } finally {
    table.close()
  }
}

class Verification {
  readonly #cars: readonly CarFile[]
  readonly #reached: Seen
  readonly #options: VerifyCarOptions
  readonly #counts = noCounts()
  readonly #problems: CarProblem[] = []
  readonly #codes = new Set<ErrorCode>()
  #problemCount = 0
  #met = 0
  #metBytes = 0
  #turnAt = TURN_BLOCKS
  #unreached = 0
  #duplicates = 0

  constructor(cars: readonly CarFile[], reached: Seen, options: VerifyCarOptions) {
    this.#cars = cars
    this.#reached = reached
    this.#options = options
  }

  async run(): Promise<CarVerification> {
    const states = this.#findStates()
    for (const state of states) await this.#walk(state)
    const walksWhole = this.#problemCount === 0
    for (const car of this.#cars) await this.#readSections(car, walksWhole)
    return {
      verdict: verdictOf(this.#codes),
      states: states.map((state) => this.#described(state)),
      counts: this.#counts,
      sections: sum(this.#cars, ({ blockCount }) => blockCount ?? 0),
      bytes: sum(this.#cars, ({ size }) => size),
      unreached: this.#unreached,
      duplicates: this.#duplicates,
      problemCount: this.#problemCount,
      problems: this.#problems.toSorted((a, b) => this.#place(a) - this.#place(b)),
    }
  }

  /** By file and offset; what is in no file comes first. */
  #place({ path, offset }: CarProblem): number {
    const before = this.#cars.slice(
      0,
      this.#cars.findIndex((car) => car.path === path),
    )
    return offset === null ? -1 : sum(before, ({ size }) => size) + offset
  }

  /** The states of all roots, those with the most content first: what is seen there need not be again. */
  #findStates(): CarState[] {
    const states = new Map<string, CarState>()
    for (const car of this.#cars) {
      if (car.roots.length === 0) this.#fileProblem(car, 'The CAR names no root.')
      const named = new Set<string>()
      for (const root of car.roots) {
        const text = printCid(root)
        if (named.has(text)) {
          this.#fileProblem(car, `The CAR names its root ${text} more than once.`)
          continue
        }
        named.add(text)
        const state = this.#stateOf(root)
        if (state !== undefined) states.set(text, state)
      }
    }
    const reach = { full: 0, tips: 1, index: 2 } as const
    return [...states.values()].toSorted(
      (a, b) => reach[factsOf(a).content] - reach[factsOf(b).content],
    )
  }

  #stateOf(root: CidBytes): CarState | undefined {
    try {
      return stateOfRoot(this.#cars, root)
    } catch (error) {
      this.#problem(toCairnError(error), root)
      return undefined
    }
  }

  #isDelta({ checkpoint }: CarState): boolean {
    const since = checkpoint?.since ?? null
    return since !== null && !this.#has(since)
  }

  #has(cid: CidBytes): boolean {
    return this.#cars.some((car) => car.has(cid))
  }

  async #walk(state: CarState): Promise<void> {
    const delta = this.#isDelta(state)
    const chain: LoadedBlock[] = []
    const problems = this.#problemCount
    const walk = new Walk({
      source: localSource(this.#cars),
      seen: this.#reached,
      content: factsOf(state).content,
      rebuild: !delta,
      signal: this.#options.signal,
      visitor: {
        block: ({ kind, cid, bytes }) => {
          this.#counts[kind] += 1
          if (kind === 'chain') chain.push({ cid, block: decodeChainBlock(bytes) })
          return this.#metOne(bytes)
        },
        problem: (error, cid) => {
          // What a delta lacks of its base's content, the base has.
          if (!delta || error.code !== 'content_missing') this.#problem(error, cid)
        },
      },
      ...(delta ? { skipNode: (cid) => !this.#has(cid) } : {}),
    })
    if (state.checkpoint === undefined) await walk.snapshot(state.root)
    else await walk.checkpoint(state.root)
    if (!delta && this.#problemCount === problems) await this.#checkTotal(state, chain)
  }

  #metOne({ length }: Uint8Array): Promise<void> | undefined {
    this.#met += 1
    this.#metBytes += length
    if (this.#met < this.#turnAt && this.#metBytes < TURN_BYTES) return undefined
    this.#turnAt = this.#met + TURN_BLOCKS
    this.#metBytes = 0
    const total = sum(this.#cars, ({ blockCount }) => blockCount ?? 0)
    this.#options.onProgress?.({ step: 'walk', done: this.#met, total })
    return setImmediate()
  }

  /** The count of live entities, as tree and chain give it: what the checkpoint says must be that. */
  async #checkTotal(state: CarState, chain: readonly LoadedBlock[]): Promise<void> {
    const nodes = new NodeStore(
      { getBlocks: async (cids) => cids.map((cid) => this.#read(cid)) },
      16 << 20,
    )
    const overlay = new Overlay(await Tree.open(nodes, state.header.root, this.#options.signal))
    for (const entry of overlayEntries(chain)) overlay.set(entry)
    const total = await overlay.liveCount()
    const said = factsOf(state).totalCount
    if (total === said) return
    const message = `The checkpoint counts ${said} entities, there are ${total}.`
    this.#problem(new CairnError('invalid_block', message), state.root)
  }

  #read(cid: CidBytes): Uint8Array | undefined {
    for (const car of this.#cars) {
      const bytes = car.read(cid)
      if (bytes !== undefined) return bytes
    }
    return undefined
  }

  async #readSections(car: CarFile, walksWhole: boolean): Promise<void> {
    const { signal, onProgress, tempDir } = this.#options
    // What repeats a digest may be the same bytes under another codec, which is no repetition.
    const repeated = car.duplicates > 0 ? new DigestMap({ tempDir }) : undefined
    const before = repeated && seenIn(repeated)
    try {
      for await (const batch of car.sections({ signal })) {
        for (const section of batch) this.#checkSection(car, section, before, walksWhole)
        const last = batch.at(-1)
        if (last !== undefined)
          onProgress?.({
            step: 'hash',
            done: last.offset + last.bytes.length,
            total: car.size,
            unit: 'bytes',
          })
      }
    } finally {
      repeated?.close()
    }
  }

  #checkSection(
    car: CarFile,
    section: CarSection,
    before: Seen | undefined,
    walksWhole: boolean,
  ): void {
    const { cid, bytes, offset } = section
    if (!cidMatches(cid, bytes)) {
      // The walk has told of those it met.
      const told = car.offsetOf(cid) === offset && this.#reached.has(cid)
      const message = 'has other bytes than its CID says'
      if (!told) this.#sectionProblem(car, section, 'block_mismatch', message)
    } else if (inlineBytes(cid) === undefined) {
      this.#checkPlace(car, section, before?.add(cid) !== false, walksWhole)
    }
  }

  #checkPlace(car: CarFile, section: CarSection, first: boolean, walksWhole: boolean): void {
    if (!first) {
      this.#duplicates += 1
      this.#sectionProblem(car, section, 'invalid_car', 'is there once more')
    } else if (!this.#reached.has(section.cid)) {
      this.#unreached += 1
      if (walksWhole) this.#sectionProblem(car, section, 'invalid_car', 'is reached by nothing')
    }
  }

  #sectionProblem(car: CarFile, { cid, offset }: CarSection, code: ErrorCode, what: string): void {
    const text = printCid(cid)
    this.#add({ code, message: `The block ${text} ${what}.`, cid: text, path: car.path, offset })
  }

  /** A problem with a block, which then counts as reached. `met`: what the walk was at. */
  #problem(error: CairnError, met: CidBytes): void {
    const named = error.details['cid']
    const cid = typeof named === 'string' ? parseCid(named) : met
    const isBlock = cid.length > 0 && inlineBytes(cid) === undefined
    if (isBlock) this.#reached.add(cid)
    const car = isBlock ? this.#cars.find((one) => one.has(cid)) : undefined
    this.#add({
      code: error.code,
      message: error.message,
      cid: cid.length > 0 ? printCid(cid) : null,
      path: car?.path ?? null,
      offset: car?.offsetOf(cid) ?? null,
    })
  }

  #fileProblem({ path }: CarFile, message: string): void {
    this.#add({ code: 'invalid_car', message, cid: null, path, offset: 0 })
  }

  #add(problem: CarProblem): void {
    this.#problemCount += 1
    this.#codes.add(problem.code)
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push(problem)
  }

  #described(state: CarState): VerifiedState {
    return {
      root: printCid(state.root),
      dataset: factsOf(state).dataset ?? null,
      seq: state.header.seq,
      scope: this.#isDelta(state) ? 'delta' : 'all',
    }
  }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

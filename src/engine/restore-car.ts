/**
 * Restoring a dataset from CARs: from one, or from a base and its deltas.
 *
 *   1 find the state that is meant, and where it goes
 *   2 walk all that it reaches, in the CARs and, for what they lack, in the store: every block hashed,
 *     the tree proved to be the one its entries make, nothing missing; what the CARs hold goes into the
 *     store on the way, once it was hashed
 *   3 read the engine's own blocks back
 *   4 commit, with a new generation
 *
 * What fails before 4 leaves at most blocks that nothing names, and that make the next try shorter.
 * Commits, listings and what is kept change with 4 alone.
 */
import type { LoadedBlock } from '../chain/walk.ts'
import { CairnError } from '../errors.ts'
import { decodeChainBlock } from '../model/chain-block.ts'
import { parseCid, printCid, type CidBytes } from '../model/cid.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import { EntriesDone } from '../reach/entries-done.ts'
import { seenIn, type Met, type Visitor } from '../reach/met.ts'
import { localSource, storeSource, type WalkSource } from '../reach/source.ts'
import { Walk } from '../reach/walk.ts'
import { DigestMap } from '../util/digest-map.ts'
import { factsOf, findCarState, readFrom, type CarState, type OpenCar } from '../car/state.ts'
import type { Context, LongOptions } from './context.ts'
import { deltaBetween, type Delta } from './delta.ts'
import { noCounts, type CarCounts } from './car-counts.ts'
import { parseDatasetName } from './genesis.ts'
import { releaseLease } from './lease.ts'
import type { Pointer } from './pointer.ts'
import { leaseBase } from './restore-base.ts'
import {
  commitRestored,
  isRestored,
  proveTotal,
  type Restored,
  type RestoreTarget,
} from './restore-commit.ts'
import { RestoreStager } from './restore-stager.ts'
import { readBack } from './stage-nodes.ts'
import { endStaging } from './staging.ts'
import { NodeStore } from '../tree/node-store.ts'

export interface RestoreCarOptions extends LongOptions {
  /** The dataset to restore into; that of the CAR unless given. */
  readonly as?: string | undefined
  /** Put it in the place of what the dataset holds now. */
  readonly replace?: boolean | undefined
  /** Of several states in the CARs: `seq:N`, or a CID. */
  readonly at?: string | undefined
  /** Prove everything and change nothing. */
  readonly dryRun?: boolean | undefined
  /** The folder for what does not fit in memory; the system's unless given. */
  readonly tempDir?: string | undefined
}

export interface RestoredCar extends Restored {
  readonly status: 'restored' | 'already_restored' | 'planned'
  readonly dataset: string
  readonly snapshot: CidBytes
  readonly root: CidBytes
  readonly seq: number
  readonly snapshotTs: number
  readonly recentCount: number
  readonly totalCount: number
  /** Blocks of the CARs that belong to the state. */
  readonly counts: CarCounts
}

const NODE_CACHE_BYTES = 16 << 20

export async function restoreCar(
  context: Context,
  cars: readonly OpenCar[],
  openPointer: (name: string) => Promise<Pointer | undefined>,
  options: RestoreCarOptions = {},
): Promise<RestoredCar> {
  const found = findCarState(cars, options.at)
  const name = parseDatasetName(options.as ?? factsOf(found).dataset ?? 'main')
  const target = { name, pointer: await openPointer(name) }
  const current = await target.pointer?.current(options.signal)
  const there = current !== undefined && isRestored(current, found)
  // A dry run proves the CARs, whatever is there.
  if (current !== undefined && there && options.dryRun !== true) {
    return {
      ...described(found, name),
      status: 'already_restored',
      ...asIs(current),
      counts: noCounts(),
    }
  }
  if (current !== undefined && !there && options.replace !== true && current.commit.next > 0) {
    throw notEmpty(name, current.commit.totalCount)
  }
  const restore = new Restore(context, cars, found, options)
  return restore.into(target)
}

class Restore {
  readonly #context: Context
  readonly #cars: readonly OpenCar[]
  readonly #found: CarState
  readonly #options: RestoreCarOptions
  /** Blocks as they were read that the CARs lack. */
  readonly #ofStore = new WeakSet<Uint8Array>()

  constructor(
    context: Context,
    cars: readonly OpenCar[],
    found: CarState,
    options: RestoreCarOptions,
  ) {
    this.#context = context
    this.#cars = cars
    this.#found = found
    this.#options = options
  }

  async into(target: RestoreTarget): Promise<RestoredCar> {
    const { dryRun, signal } = this.#options
    const base = await leaseBase(this.#context, this.#cars, this.#found, { signal })
    try {
      const delta = base && (await this.#deltaFrom(base.header))
      try {
        if (dryRun !== true) return await this.#load(target, delta)
        const { counts } = await this.#prove(delta)
        return {
          ...described(this.#found, target.name),
          status: 'planned',
          generation: 0,
          undo: null,
          counts,
        }
      } finally {
        delta?.close()
      }
    } finally {
      if (base !== undefined) await releaseLease(this.#context, base.lease)
    }
  }

  #deltaFrom(base: SnapshotHeader): Promise<Delta> {
    return deltaBetween(this.#nodes(), base, this.#found.header, { signal: this.#options.signal })
  }

  /** The nodes of the tree, which lie in the CARs, and those of a delta's base in the store. */
  #nodes(): NodeStore {
    const { backend } = this.#context
    return new NodeStore(
      {
        getBlocks: async (cids, call) => {
          const own = cids.map((cid) => readFrom(this.#cars, cid))
          const lacking = cids.filter((_, i) => own[i] === undefined)
          const others = lacking.length === 0 ? [] : await backend.getBlocks(lacking, call)
          let next = 0
          return own.map((bytes) => bytes ?? others[next++])
        },
      },
      NODE_CACHE_BYTES,
    )
  }

  /** Step 2. What is missing or wrong is thrown. */
  async #prove(
    delta: Delta | undefined,
    stager?: RestoreStager,
  ): Promise<{ counts: CarCounts; chain: LoadedBlock[] }> {
    const counts = noCounts()
    const chain: LoadedBlock[] = []
    const { header } = this.#found
    // All of it is walked, whatever a delta leaves to the store.
    const total = header.entries + factsOf(this.#found).recentCount
    const entries = new EntriesDone((done) =>
      this.#options.onProgress?.({ step: this.#step, done, total }),
    )
    // The base is kept, and holds its own. What else the store has may be held by nobody.
    const isHeld = ({ kind, cid, bytes }: Met): boolean =>
      this.#ofStore.has(bytes) && (kind === 'content' || delta?.hasNode(cid) === true)
    const visitor: Visitor = {
      block: (met) => {
        if (isHeld(met)) return undefined
        if (this.#ofStore.has(met.bytes)) return stager?.block(met)
        counts[met.kind] += 1
        entries.block(met)
        return stager?.block(met)
      },
      // Also of a block of the chain that was met as content before.
      leave: (met) => {
        const { kind, cid, bytes } = met
        if (kind === 'chain') chain.push({ cid, block: decodeChainBlock(bytes) })
        entries.leave(met)
        return isHeld(met) ? undefined : stager?.leave(met)
      },
      problem: (error) => {
        throw this.#placed(error)
      },
    }
    await this.#walk(visitor, delta)
    await proveTotal(this.#nodes(), this.#found, chain, this.#options.signal)
    return { counts, chain }
  }

  get #step(): string {
    return this.#options.dryRun === true ? 'prove' : 'restore'
  }

  /** Steps 2 to 4. */
  async #load(target: RestoreTarget, delta: Delta | undefined): Promise<RestoredCar> {
    const { signal, onProgress } = this.#options
    const { header } = this.#found
    const purpose = `restore of ${printCid(this.#found.root)}`
    const staging = await this.#context.backend.stage(target.name, purpose, { signal })
    let outcome: 'committed' | 'dropped' = 'dropped'
    try {
      const stager = new RestoreStager(this.#context, staging, header.content, signal)
      const { counts, chain } = await this.#prove(delta, stager)
      await stager.finish()
      await readBack(this.#context, stager.records, signal, (done) =>
        onProgress?.({ step: 'read back', done, total: stager.records.length }),
      )
      const restored = await commitRestored(this.#context, target, this.#found, {
        chain,
        staging,
        minted: this.#options.as,
        signal,
      })
      outcome = 'committed'
      return { ...described(this.#found, target.name), counts, status: 'restored', ...restored }
    } finally {
      await endStaging(this.#context, staging, { dataset: target.name, outcome })
    }
  }

  async #walk(visitor: Visitor, delta: Delta | undefined): Promise<void> {
    const { root, checkpoint, header } = this.#found
    const seen = new DigestMap({ tempDir: this.#options.tempDir })
    try {
      const walk = new Walk({
        source: localSource(this.#cars, this.#storeSource()),
        visitor,
        seen: seenIn(seen),
        // A restore needs all content of a linked dataset, whatever the CAR brings of it.
        content: header.content === 'linked' ? 'full' : 'index',
        // A leaf of the base is there with all its content.
        wantsTip: delta && ((tip, leaf) => !delta.hasNode(leaf) && delta.hasChangedTip(tip)),
        rebuild: true,
        signal: this.#options.signal,
      })
      if (checkpoint === undefined) await walk.snapshot(root)
      else await walk.checkpoint(root)
    } finally {
      seen.close()
    }
  }

  #storeSource(): WalkSource {
    const source = storeSource(this.#context.backend, true)
    return {
      read: async (...where) => {
        const blocks = await source.read(...where)
        for (const block of blocks) if (block !== undefined) this.#ofStore.add(block)
        return blocks
      },
    }
  }

  /** With the place where a damaged block stands. */
  #placed(error: CairnError): CairnError {
    const { cid } = error.details
    const car =
      typeof cid === 'string' ? this.#cars.find((one) => one.has(parseCid(cid))) : undefined
    if (car === undefined || typeof cid !== 'string') return error
    const offset = car.offsetOf(parseCid(cid))
    return new CairnError(error.code, `${error.message} It is at byte ${offset} of ${car.path}.`, {
      ...error.details,
      hint: error.hint ?? 'Take another copy of the CAR.',
      path: car.path,
      offset,
    })
  }
}

function described(
  found: CarState,
  dataset: string,
): Omit<RestoredCar, 'status' | 'counts' | keyof Restored> {
  const { snapshot, header } = found
  const { recentCount, totalCount } = factsOf(found)
  const { root, seq, ts } = header
  return { dataset, snapshot, root, seq, snapshotTs: ts, recentCount, totalCount }
}

function asIs({ commit }: Pointer['seen']): Restored {
  return { generation: commit.generation.number, undo: null }
}

function notEmpty(name: string, count: number): CairnError {
  return new CairnError(
    'conflict',
    `The dataset "${name}" is not empty: it has ${count} entities.`,
    {
      hint: 'Restore it under another name with --as, or put it in the place of this one with --replace; that is undone by a rollback.',
      dataset: name,
    },
  )
}

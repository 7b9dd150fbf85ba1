/**
 * The backend that reads a dataset straight from CARs, a base and its deltas: one commit, made here from
 * what their checkpoint (or, from other tools, their snapshot) says. Nothing can be written to it.
 */
import type { CarFile } from '../car/file.ts'
import { factsOf, findCarState, needed, type CarFacts, type CarState } from '../car/state.ts'
import { CairnError, isCairnError, throwIfAborted } from '../errors.ts'
import { decodeChainBlock } from '../model/chain-block.ts'
import { decodeChainList } from '../model/checkpoint.ts'
import { bytesEqual, printCid, type Block, type CidBytes } from '../model/cid.ts'
import { encodeCommit, type Commit } from '../model/commit.ts'
import type { DatasetSettings } from '../model/settings.ts'
import { encodeKeptPage, keep } from '../model/kept.ts'
import type { Backend, CallOptions, Lease, StoreStatus, StoredCommit } from '../store/backend.ts'

/** The CARs stay the caller's until `close`, which calls `onClose`. */
export function openCarBackend(
  cars: readonly CarFile[],
  onClose: () => Promise<void> = async () => {},
): Backend {
  const found = findCarState(cars)
  const since = found.checkpoint?.since ?? null
  if (since !== null && !cars.some((car) => car.has(since))) throw baseMissing(cars, since)
  return new CarBackend(cars, found, onClose)
}

class CarBackend implements Backend {
  readonly kind = 'car'
  readonly location: string
  readonly #cars: readonly CarFile[]
  readonly #facts: CarFacts
  readonly #kept: Block
  readonly #dataset: string
  readonly #commit: Uint8Array
  readonly #onClose: () => Promise<void>
  #closed = false

  constructor(cars: readonly CarFile[], found: CarState, onClose: () => Promise<void>) {
    this.location = `car:${cars.map(({ path }) => path).join(',')}`
    this.#cars = cars
    this.#facts = factsOf(found)
    this.#dataset = this.#facts.dataset ?? 'main'
    this.#kept = keptOf(found)
    this.#commit = commitOf(cars, found, this.#dataset, this.#kept.cid)
    this.#onClose = onClose
  }

  async getBlocks(
    cids: readonly CidBytes[],
    options?: CallOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    this.#enter(options)
    return cids.map((cid) => {
      if (bytesEqual(cid, this.#kept.cid)) return new Uint8Array(this.#kept.bytes)
      for (const car of this.#cars) {
        const bytes = car.read(cid)
        if (bytes !== undefined) return bytes
      }
      return undefined
    })
  }

  async hasBlocks(cids: readonly CidBytes[], options?: CallOptions): Promise<boolean[]> {
    this.#enter(options)
    return cids.map(
      (cid) => bytesEqual(cid, this.#kept.cid) || this.#cars.some((car) => car.has(cid)),
    )
  }

  async newest(
    dataset: string,
    than: number,
    options?: CallOptions,
  ): Promise<StoredCommit | undefined> {
    this.#enter(options)
    const number = dataset === this.#dataset ? 0 : -1
    if (number < than) {
      throw new CairnError('store_changed', `The CAR has no commit ${than} of ${dataset}.`, {
        hint: 'It is another CAR; open it anew.',
        dataset,
        expected: than,
        actual: number,
      })
    }
    return number > than ? { number, bytes: new Uint8Array(this.#commit) } : undefined
  }

  async getCommit(
    dataset: string,
    number: number,
    options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    this.#enter(options)
    return dataset === this.#dataset && number === 0 ? new Uint8Array(this.#commit) : undefined
  }

  async oldest(dataset: string, options?: CallOptions): Promise<number | undefined> {
    this.#enter(options)
    return dataset === this.#dataset ? 0 : undefined
  }

  async datasets(options?: CallOptions): Promise<string[]> {
    this.#enter(options)
    return [this.#dataset]
  }

  async heal(): Promise<never> {
    throw this.#readOnly()
  }

  async stage(): Promise<never> {
    throw this.#readOnly()
  }

  async commit(): Promise<never> {
    throw this.#readOnly()
  }

  async forget(): Promise<never> {
    throw this.#readOnly()
  }

  async sweep(): Promise<never> {
    throw this.#readOnly()
  }

  async compact(): Promise<never> {
    throw this.#readOnly()
  }

  /** Nothing is ever freed here, so whoever asks for a lease has it. */
  async lease(_note: string, options?: CallOptions): Promise<Lease> {
    this.#enter(options)
    return { release: async () => {} }
  }

  async leases(options?: CallOptions): Promise<string[]> {
    this.#enter(options)
    return []
  }

  async sweeps(options?: CallOptions): Promise<number> {
    this.#enter(options)
    return 0
  }

  async status(options?: CallOptions): Promise<StoreStatus> {
    this.#enter(options)
    const { content, settings } = this.#facts
    const lacksContent = settings?.content === 'linked' && content !== 'full'
    const sum = (of: (car: CarFile) => number): number =>
      this.#cars.reduce((total, car) => total + of(car), 0)
    return {
      synced: undefined,
      sizeBytes: sum(({ size }) => size),
      freeBytes: undefined,
      notes: lacksContent ? [`the CAR was exported with --content ${content}`] : [],
      details: {
        files: this.#cars.length,
        blocks: sum(({ blockCount }) => blockCount ?? 0),
        read_only: true,
      },
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#onClose()
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closed) throw new CairnError('closed', 'This store was closed.')
    throwIfAborted(options?.signal)
  }

  #readOnly(): CairnError {
    if (this.#closed) return new CairnError('closed', 'This store was closed.')
    return new CairnError('access_denied', 'A CAR is only read, nothing can be written to it.', {
      hint: 'Restore it into a store first, then write there.',
      location: this.location,
    })
  }
}

function keptOf({ snapshot, header }: CarState): Block {
  const { seq, ts, entries, live, reason, tags } = header
  return encodeKeptPage(keep(undefined, { cid: snapshot, seq, ts, entries, live, reason, tags }))
}

function commitOf(
  cars: readonly CarFile[],
  found: CarState,
  dataset: string,
  kept: CidBytes,
): Uint8Array {
  const facts = factsOf(found)
  const { header, snapshot, checkpoint } = found
  const head = facts.chain === null ? null : lastChainBlock(cars, facts.chain)
  const newest = head === null ? 0 : decodeChainBlock(needed(cars, head, 'chain block')).ts
  return encoded({
    number: 0,
    prev: null,
    ts: Math.max(header.ts, newest),
    writer: 'car',
    reason: `car ${printCid(found.root)}`,
    dataset,
    identity: facts.identity,
    origins: facts.origins,
    generation: checkpoint?.generation ?? { number: 0, tag: '' },
    settings: facts.settings ?? settingsOf(found),
    snapshot,
    snapshotSeq: header.seq,
    snapshotTs: header.ts,
    snapshotCount: header.live,
    head,
    base: facts.base,
    recentCount: facts.recentCount,
    chainFirst: facts.chainFirst,
    next: facts.next,
    nextOrdinal: facts.nextOrdinal,
    nextSeq: facts.nextSeq,
    // What came before is not in the CAR.
    floor: facts.chainFirst,
    oldest: 0,
    kept,
    keptCount: 1,
    totalCount: facts.totalCount,
    exclusive: null,
  })
}

function encoded(commit: Commit): Uint8Array {
  try {
    return encodeCommit(commit).bytes
  } catch (cause) {
    if (!isCairnError(cause, 'pointer_damaged')) throw cause
    throw new CairnError('invalid_block', 'The checkpoint of the CAR contradicts itself.', {
      hint: 'It was not written by Cairn; take another copy.',
      cause,
    })
  }
}

/** Of a snapshot alone only what readers need is known. */
function settingsOf({ header }: CarState): DatasetSettings {
  return { content: header.content, chunkSize: header.chunkSize, chainLimit: 1, deletedMs: 0 }
}

/** The newest block that a list of the chain names; lists are a few levels deep. */
function lastChainBlock(cars: readonly CarFile[], list: CidBytes, below = Infinity): CidBytes {
  const { level, links } = decodeChainList(needed(cars, list, 'list of the chain'))
  const last = links.at(-1)
  if (last === undefined || level >= below) {
    throw new CairnError('invalid_block', `The list ${printCid(list)} does not belong there.`, {
      hint: '`cairn car verify` says what else is wrong with the CAR.',
      cid: printCid(list),
    })
  }
  return level === 0 ? last : lastChainBlock(cars, last, level)
}

function baseMissing(cars: readonly CarFile[], since: CidBytes): CairnError {
  const [first] = cars
  return new CairnError(
    'base_missing',
    `The CAR ${first?.path ?? ''} is a delta; the base ${printCid(since)} is not there.`,
    {
      hint: 'Name its base too: car:BASE,DELTA, or --base FILE.',
      cid: printCid(since),
    },
  )
}

/**
 * The backend that keeps everything in this process's memory: for tests, and for trying things out.
 *
 * It is strict where others may be lax: every byte is copied on its way in and on its way out, so a
 * caller that reuses a buffer too early, or scribbles on one it was given, cannot hurt the store.
 */
import { randomUUID } from 'node:crypto'
import { CairnError, throwIfAborted } from '../errors.ts'
import { bytesEqual, cidKey, cidParts, digestKey, inlineBytes } from '../model/cid.ts'
import type { Block, CidBytes } from '../model/cid.ts'
import type {
  Backend,
  CallOptions,
  CommitOutcome,
  CommitRequest,
  Freed,
  HeldBlock,
  HeldCid,
  Lease,
  ReadOptions,
  Staging,
  StoreStatus,
  StoredCommit,
  Sweep,
} from '../store/backend.ts'
import { stagingVoid, storeChanged } from './refused.ts'

const POLL_MS = 5

export function openMemory(): Backend {
  return new MemoryBackend()
}

/** A dataset's commits; those below `oldest` are forgotten. */
interface Log {
  readonly commits: (Uint8Array | undefined)[]
  oldest: number
}

/** A sweep under way: the stagings it waits for, and the blocks that were written or relied on since. */
interface UnderWay {
  readonly before: ReadonlySet<string>
  readonly touched: Set<string>
}

class MemoryBackend implements Backend {
  readonly kind = 'memory'
  readonly location = 'memory:'
  readonly #blocks = new Map<string, Uint8Array>()
  readonly #logs = new Map<string, Log>()
  readonly #stagings = new Set<string>()
  readonly #leases = new Map<symbol, string>()
  #sweeps = 0
  #underWay: UnderWay | undefined
  #closed = false

  async getBlocks(
    cids: readonly CidBytes[],
    options?: ReadOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    this.#enter(options)
    return cids.map((cid) => {
      const bytes = inlineBytes(cid) ?? this.#blocks.get(digestKey(cid))
      if (options?.rely === true && bytes !== undefined) this.#touch(cid)
      return bytes && new Uint8Array(bytes)
    })
  }

  async hasBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<boolean[]> {
    this.#enter(options)
    return cids.map((cid) => {
      const has = inlineBytes(cid) !== undefined || this.#blocks.has(digestKey(cid))
      if (options?.rely === true && has) this.#touch(cid)
      return has
    })
  }

  async heal(blocks: readonly Block[], options?: CallOptions): Promise<void> {
    this.#enter(options)
    for (const { cid } of blocks) this.#blocks.delete(digestKey(cid))
    this.#store(blocks.map(copyBlock))
  }

  async stage(_dataset: string, _label: string, options?: CallOptions): Promise<Staging> {
    this.#enter(options)
    const leaseId = randomUUID()
    this.#stagings.add(leaseId)
    let buffered: Block[] = []
    const enter = (callOptions?: CallOptions): void => {
      this.#enter(callOptions)
      if (!this.#stagings.has(leaseId)) throw new CairnError('closed', 'This staging has ended.')
    }
    const staging: Staging & { readonly leaseId: string } = {
      leaseId,
      put: async (blocks: readonly HeldBlock[], callOptions?: CallOptions): Promise<void> => {
        enter(callOptions)
        for (const block of blocks) buffered.push(copyBlock(block))
      },
      flush: async (callOptions?: CallOptions): Promise<void> => {
        enter(callOptions)
        this.#store(buffered)
        buffered = []
      },
      end: async (): Promise<void> => {
        this.#stagings.delete(leaseId)
        buffered = []
      },
    }
    return staging
  }

  async newest(
    dataset: string,
    than: number,
    options?: CallOptions,
  ): Promise<StoredCommit | undefined> {
    this.#enter(options)
    const commits = this.#logs.get(dataset)?.commits ?? []
    const number = commits.length - 1
    if (number < than) throw storeChanged(dataset, than, number)
    const bytes = number > than ? commits[number] : undefined
    return bytes && { number, bytes: new Uint8Array(bytes) }
  }

  async getCommit(
    dataset: string,
    number: number,
    options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    this.#enter(options)
    const bytes = this.#logs.get(dataset)?.commits[number]
    return bytes && new Uint8Array(bytes)
  }

  async oldest(dataset: string, options?: CallOptions): Promise<number | undefined> {
    this.#enter(options)
    return this.#logs.get(dataset)?.oldest
  }

  async datasets(options?: CallOptions): Promise<string[]> {
    this.#enter(options)
    return [...this.#logs.keys()].sort()
  }

  async commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    this.#enter(options)
    const { dataset, number, bytes, blocks, content = [], staging, sweeps } = request
    const log = this.#logs.get(dataset) ?? { commits: [], oldest: 0 }
    if (number < log.oldest) return 'forgotten'
    if (number !== log.commits.length) {
      const stored = log.commits[number]
      return stored && bytesEqual(stored, bytes) ? 'committed' : 'conflict'
    }
    if (staging !== undefined && !this.#stagings.has(leaseIdOf(staging))) throw stagingVoid()
    if (sweeps !== undefined && sweeps !== this.#sweeps) return 'swept'
    this.#store([...content, ...blocks].map(copyBlock))
    log.commits.push(new Uint8Array(bytes))
    this.#logs.set(dataset, log)
    return 'committed'
  }

  async forget(dataset: string, below: number, options?: CallOptions): Promise<void> {
    this.#enter(options)
    const log = this.#logs.get(dataset)
    if (log === undefined) return
    const oldest = Math.min(below, log.commits.length - 2)
    while (log.oldest < oldest) log.commits[log.oldest++] = undefined
  }

  async lease(note: string, options?: CallOptions): Promise<Lease> {
    this.#enter(options)
    const id = Symbol(note)
    this.#leases.set(id, note)
    return { release: async () => void this.#leases.delete(id) }
  }

  async leases(options?: CallOptions): Promise<string[]> {
    this.#enter(options)
    return [...this.#leases.values()]
  }

  async sweeps(options?: CallOptions): Promise<number> {
    this.#enter(options)
    return this.#sweeps
  }

  async sweep(options: CallOptions & { readonly waitMs: number }): Promise<Sweep> {
    this.#enter(options)
    if (this.#underWay !== undefined) throw busy('Another sweep is under way.')
    const mine: UnderWay = { before: new Set(this.#stagings), touched: new Set() }
    this.#underWay = mine
    this.#sweeps++
    try {
      await this.#stagingsEnd(mine, options)
    } catch (error) {
      this.#underWay = undefined
      throw error
    }
    return this.#sweepOf(mine)
  }

  async compact(options?: CallOptions): Promise<{ before: undefined; after: undefined }> {
    this.#enter(options)
    return { before: undefined, after: undefined }
  }

  async status(options?: CallOptions): Promise<StoreStatus> {
    this.#enter(options)
    let sizeBytes = 0
    for (const bytes of this.#blocks.values()) sizeBytes += bytes.length
    return {
      synced: false,
      sizeBytes,
      freeBytes: undefined,
      notes: ['everything is in memory and is gone when the process ends'],
      details: { blocks: this.#blocks.size, datasets: this.#logs.size },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#blocks.clear()
    this.#logs.clear()
    this.#stagings.clear()
    this.#leases.clear()
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closed) throw new CairnError('closed', 'This store was closed.')
    throwIfAborted(options?.signal)
  }

  #store(blocks: readonly Block[]): void {
    for (const { cid, bytes } of blocks) {
      const key = digestKey(cid)
      this.#touch(cid)
      if (inlineBytes(cid) === undefined && !this.#blocks.has(key)) this.#blocks.set(key, bytes)
    }
  }

  #touch(cid: CidBytes): void {
    this.#underWay?.touched.add(digestKey(cid))
  }

  async #stagingsEnd(
    { before }: UnderWay,
    { signal, waitMs }: CallOptions & { readonly waitMs: number },
  ): Promise<void> {
    const deadline = performance.now() + waitMs
    while ([...before].some((staging) => this.#stagings.has(staging))) {
      if (performance.now() >= deadline) throw busy('A staging that was there before goes on.')
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      this.#enter({ signal })
    }
  }

  #sweepOf(mine: UnderWay): Sweep {
    const marked = new Set<string>()
    const markedDigests = new Set<string>()
    const enter = (options?: CallOptions): void => {
      this.#enter(options)
      if (this.#underWay !== mine) throw new CairnError('closed', 'This sweep has ended.')
    }
    return {
      frees: 'blocks',
      mark: async (blocks: readonly HeldCid[]): Promise<boolean[]> => {
        enter()
        return blocks.map(({ cid }) => {
          markedDigests.add(digestKey(cid))
          const before = marked.size
          return marked.add(cidKey(cid)).size > before
        })
      },
      offer: async (): Promise<void> => enter(),
      free: async (options = {}): Promise<Freed> => {
        enter(options)
        let [blocks, bytes] = [0, 0]
        for (const [key, { length }] of this.#blocks) {
          if (markedDigests.has(key) || mine.touched.has(key)) continue
          this.#blocks.delete(key)
          blocks++
          bytes += length
        }
        options.onProgress?.(blocks)
        return { blocks, bytes }
      },
      end: async (): Promise<void> => {
        if (this.#underWay === mine) this.#underWay = undefined
      },
    }
  }
}

function busy(why: string): CairnError {
  return new CairnError('busy', why, { hint: 'Try again later.' })
}

function leaseIdOf(staging: Staging): string {
  return 'leaseId' in staging ? String(staging.leaseId) : ''
}

function copyBlock({ cid, bytes }: Block): Block {
  cidParts(cid)
  return { cid: new Uint8Array(cid), bytes: new Uint8Array(bytes) }
}

/**
 * The backend that keeps everything in this process's memory: for tests, and for trying things out.
 *
 * It is strict where others may be lax: every byte is copied on its way in and on its way out, so a
 * caller that reuses a buffer too early, or scribbles on one it was given, cannot hurt the store.
 */
import { CairnError, throwIfAborted } from '../errors.ts'
import { bytesEqual, cidParts, digestKey } from '../model/cid.ts'
import type { Block, CidBytes } from '../model/cid.ts'
import type {
  Backend,
  CallOptions,
  CommitOutcome,
  CommitRequest,
  HeldBlock,
  Staging,
  StoreStatus,
  StoredCommit,
} from '../store/backend.ts'

export function openMemory(): Backend {
  return new MemoryBackend()
}

class MemoryBackend implements Backend {
  readonly kind = 'memory'
  readonly location = 'memory:'
  readonly #blocks = new Map<string, Uint8Array>()
  readonly #commits = new Map<string, Uint8Array[]>()
  #closed = false

  async getBlocks(
    cids: readonly CidBytes[],
    options?: CallOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    this.#enter(options)
    return cids.map((cid) => {
      const bytes = inlineBytes(cid) ?? this.#blocks.get(digestKey(cid))
      return bytes && new Uint8Array(bytes)
    })
  }

  async hasBlocks(cids: readonly CidBytes[], options?: CallOptions): Promise<boolean[]> {
    this.#enter(options)
    return cids.map((cid) => inlineBytes(cid) !== undefined || this.#blocks.has(digestKey(cid)))
  }

  async stage(_dataset: string, _label: string, options?: CallOptions): Promise<Staging> {
    this.#enter(options)
    let buffered: Block[] = []
    let ended = false
    const enter = (callOptions?: CallOptions): void => {
      this.#enter(callOptions)
      if (ended) throw new CairnError('closed', 'This staging has ended.')
    }
    return {
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
        ended = true
        buffered = []
      },
    }
  }

  async newest(
    dataset: string,
    than: number,
    options?: CallOptions,
  ): Promise<StoredCommit | undefined> {
    this.#enter(options)
    const commits = this.#commits.get(dataset) ?? []
    const number = commits.length - 1
    if (number < than) {
      throw new CairnError(
        'store_changed',
        `The store no longer has commit ${than} of ${dataset}.`,
        {
          hint: 'It was emptied or replaced: restore it from a backup.',
          dataset,
          expected: than,
          actual: number,
        },
      )
    }
    const bytes = number > than ? commits[number] : undefined
    return bytes && { number, bytes: new Uint8Array(bytes) }
  }

  async getCommit(
    dataset: string,
    number: number,
    options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    this.#enter(options)
    const bytes = this.#commits.get(dataset)?.[number]
    return bytes && new Uint8Array(bytes)
  }

  async oldest(dataset: string, options?: CallOptions): Promise<number | undefined> {
    this.#enter(options)
    return this.#commits.has(dataset) ? 0 : undefined
  }

  async datasets(options?: CallOptions): Promise<string[]> {
    this.#enter(options)
    return [...this.#commits.keys()].sort()
  }

  async commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    this.#enter(options)
    const { dataset, number, bytes, blocks, content = [] } = request
    const commits = this.#commits.get(dataset) ?? []
    if (number !== commits.length) {
      const stored = commits[number]
      return stored && bytesEqual(stored, bytes) ? 'committed' : 'conflict'
    }
    this.#store([...content, ...blocks].map(copyBlock))
    commits.push(new Uint8Array(bytes))
    this.#commits.set(dataset, commits)
    return 'committed'
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
      details: { blocks: this.#blocks.size, datasets: this.#commits.size },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#blocks.clear()
    this.#commits.clear()
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closed) throw new CairnError('closed', 'This store was closed.')
    throwIfAborted(options?.signal)
  }

  #store(blocks: readonly Block[]): void {
    for (const { cid, bytes } of blocks) {
      const key = digestKey(cid)
      if (inlineBytes(cid) === undefined && !this.#blocks.has(key)) this.#blocks.set(key, bytes)
    }
  }
}

function copyBlock({ cid, bytes }: Block): Block {
  cidParts(cid)
  return { cid: new Uint8Array(cid), bytes: new Uint8Array(bytes) }
}

/** The bytes of an identity CID, which no store needs to keep. */
function inlineBytes(cid: CidBytes): Uint8Array | undefined {
  const { hash, digest } = cidParts(cid)
  return hash === 'identity' ? digest : undefined
}

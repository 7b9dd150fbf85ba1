/**
 * One opening of a simulated store, as a process has it. Each call waits for a turn before its effect and
 * after it, so that everything else may come between; there a fault may strike, or the process be killed.
 */
import { CairnError, throwIfAborted } from '../../src/errors.ts'
import { cidKey, type CidBytes } from '../../src/model/cid.ts'
import type {
  Backend,
  CallOptions,
  CommitOutcome,
  CommitRequest,
  Lease,
  ReadOptions,
  Staging,
  StoredCommit,
  Sweep,
} from '../../src/store/backend.ts'
import { timedOut, unavailable, unknown, type Faults } from './faults.ts'
import { copyOf, inlineBytes, type SimStore, type Staged, type SweepState } from './store.ts'
import type { Owner, World } from './world.ts'

export interface Site {
  readonly world: World
  readonly store: SimStore
  readonly faults: Faults
}

const POLL_MS = 200
const FREED_AT_ONCE = 4

type Kind = 'read' | 'write' | 'end' | 'commit'

export class Opening implements Backend {
  readonly kind = 'memory'
  readonly location = 'simulated:'
  readonly #site: Site
  readonly #owner: Owner
  /** Of the network: what takes effect late, whoever sent it. */
  readonly #wire: Owner
  readonly #staged = new WeakMap<Staging, Staged>()
  #closed = false

  constructor(site: Site, owner: Owner) {
    this.#site = site
    this.#owner = owner
    this.#wire = site.world.owner('wire')
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closed) throw new CairnError('closed', 'This store was closed.')
    throwIfAborted(options?.signal)
  }

  async #call<T>(
    name: string,
    kind: Kind,
    options: CallOptions | undefined,
    effect: () => T,
  ): Promise<T> {
    const { world, store, faults } = this.#site
    this.#enter(options)
    const epoch = store.epoch
    await world.turn(this.#owner, name)
    this.#enter(options)
    if (store.epoch !== epoch || faults.strikes('unavailable')) throw unavailable()
    if (faults.strikes('timeout')) throw timedOut()
    if (kind === 'commit' && faults.strikes('late')) return this.#later(name, effect)
    const result = effect()
    await world.turn(this.#owner, `${name} done`)
    const lost = kind !== 'read' && faults.strikes('lost')
    if (lost || store.epoch !== epoch) throw kind === 'commit' ? unknown() : unavailable()
    return result
  }

  /** The answer does not come, and the effect when it will. */
  #later(name: string, effect: () => unknown): never {
    const { world, faults } = this.#site
    void (async () => {
      await world.wait(this.#wire, faults.delay(), `${name} late`)
      try {
        effect()
      } catch {
        // Nobody waits for the answer.
      }
    })()
    throw unknown()
  }

  #read(cid: CidBytes, options: ReadOptions | undefined): Uint8Array | undefined {
    const { store, faults } = this.#site
    const bytes = store.read(cid, options?.rely === true)
    if (bytes === undefined || inlineBytes(cid) !== undefined) return bytes && copied(bytes)
    if (faults.strikes('missing')) return undefined
    return faults.strikes('wrong') ? faults.damaged(bytes) : copied(bytes)
  }

  getBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
    return this.#call('getBlocks', 'read', options, () =>
      cids.map((cid) => this.#read(cid, options)),
    )
  }

  hasBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<boolean[]> {
    return this.#call('hasBlocks', 'read', options, () =>
      cids.map((cid) => this.#read(cid, options) !== undefined),
    )
  }

  heal(blocks: Parameters<Backend['heal']>[0], options?: CallOptions): Promise<void> {
    return this.#call('heal', 'write', options, () => this.#site.store.heal(blocks))
  }

  async stage(dataset: string, _label: string, options?: CallOptions): Promise<Staging> {
    const { store } = this.#site
    const staged = await this.#call(`stage ${dataset}`, 'write', options, () =>
      store.beginStaging(this.#owner),
    )
    let ended = false
    const check = (): void => {
      this.#enter(undefined)
      if (ended) throw new CairnError('closed', 'This staging has ended.')
      if (staged.broken) throw unavailable()
      if (!store.stagings.has(staged.id)) throw new CairnError('conflict', 'The staging is void.')
    }
    /** What fails once fails for good. */
    const write = async (name: string, call: CallOptions | undefined, effect: () => void) => {
      throwIfAborted(call?.signal)
      check()
      try {
        await this.#call(name, 'write', call, () => {
          check()
          effect()
        })
      } catch (error) {
        staged.broken = true
        throw error
      }
    }
    const staging: Staging = {
      put: (blocks, call) => write('put', call, () => store.put(staged, blocks)),
      flush: async (call) => {
        const half = Math.ceil(staged.buffered.length / 2)
        if (half > 1) await write('flush half', call, () => store.flush(staged, half))
        await write('flush', call, () => store.flush(staged))
      },
      end: async (outcome) => {
        if (ended) return
        ended = true
        if (this.#closed) return store.endStaging(staged, outcome)
        await this.#call(`end ${outcome}`, 'end', undefined, () =>
          store.endStaging(staged, outcome),
        )
      },
    }
    this.#staged.set(staging, staged)
    return staging
  }

  newest(dataset: string, than: number, options?: CallOptions): Promise<StoredCommit | undefined> {
    return this.#call(`newest ${dataset} ${than}`, 'read', options, () => {
      const commits = this.#site.store.logs.get(dataset)?.commits ?? []
      const number = commits.length - 1
      if (number < than)
        throw new CairnError('store_changed', `The store no longer has commit ${than}.`)
      const bytes = number > than ? commits[number] : undefined
      return bytes && { number, bytes: this.#commitBytes(bytes) }
    })
  }

  /** A commit has no hash of its own: what is damaged is seen when it can be read no more. */
  #commitBytes(bytes: Uint8Array): Uint8Array {
    if (!this.#site.faults.strikes('wrong')) return copied(bytes)
    return copied(bytes.subarray(0, Math.floor(bytes.length / 2)))
  }

  getCommit(
    dataset: string,
    number: number,
    options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    return this.#call(`getCommit ${number}`, 'read', options, () => {
      const bytes = this.#site.store.logs.get(dataset)?.commits[number]
      return bytes && this.#commitBytes(bytes)
    })
  }

  oldest(dataset: string, options?: CallOptions): Promise<number | undefined> {
    return this.#call('oldest', 'read', options, () => this.#site.store.logs.get(dataset)?.oldest)
  }

  datasets(options?: CallOptions): Promise<string[]> {
    return this.#call('datasets', 'read', options, () => [...this.#site.store.logs.keys()].sort())
  }

  async commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    const { staging, dataset, number } = request
    const staged = staging && this.#staged.get(staging)
    // What is late may take effect when the caller has long settled.
    const own = {
      ...request,
      bytes: copied(request.bytes),
      blocks: request.blocks.map(copyOf),
      content: (request.content ?? []).map(copyOf),
    }
    return this.#call(`commit ${dataset} ${number}`, 'commit', options, () => {
      const outcome = this.#site.store.commit(own, staged)
      this.#site.world.note(`commit ${dataset} ${number}: ${outcome}`)
      return outcome
    })
  }

  forget(dataset: string, below: number, options?: CallOptions): Promise<void> {
    return this.#call(`forget ${dataset} ${below}`, 'write', options, () =>
      this.#site.store.forget(dataset, below),
    )
  }

  async lease(note: string, options?: CallOptions): Promise<Lease> {
    const { store } = this.#site
    const id = await this.#call('lease', 'write', options, () => store.lease(this.#owner, note))
    return {
      release: async () => {
        if (this.#closed || !store.leases.has(id)) return
        await this.#call('release', 'end', undefined, () => void store.leases.delete(id))
      },
    }
  }

  leases(options?: CallOptions): Promise<string[]> {
    return this.#call('leases', 'read', options, () =>
      [...this.#site.store.leases.values()].map(({ note }) => note),
    )
  }

  sweeps(options?: CallOptions): Promise<number> {
    return this.#call('sweeps', 'read', options, () => this.#site.store.sweeps)
  }

  async sweep(options: CallOptions & { readonly waitMs: number }): Promise<Sweep> {
    const { world, store } = this.#site
    const until = world.time + options.waitMs
    const sweep = await this.#call('sweep', 'write', options, () => store.beginSweep(this.#owner))
    try {
      while ([...sweep.before].some((id) => store.stagings.has(id))) {
        if (world.time >= until) throw new CairnError('busy', 'A staging goes on.')
        await world.wait(this.#owner, Math.min(POLL_MS, until - world.time), 'wait for stagings')
        this.#enter(options)
      }
      return this.#sweepOf(sweep)
    } catch (error) {
      store.endSweep(sweep)
      throw error
    }
  }

  #sweepOf(sweep: SweepState): Sweep {
    const { store } = this.#site
    const during = <T>(
      name: string,
      effect: () => T,
      kind: Kind = 'write',
      options?: CallOptions,
    ): Promise<T> =>
      this.#call(name, kind, options, () => {
        if (store.sweep !== sweep) throw new CairnError('closed', 'This sweep has ended.')
        return effect()
      })
    return {
      frees: store.frees,
      mark: (blocks) => during('mark', () => store.mark(sweep, blocks)),
      offer: (blocks) =>
        during('offer', () => {
          for (const { cid } of blocks) sweep.offered.set(cidKey(cid), cid)
        }),
      free: async (options) => {
        let [blocks, bytes] = [0, 0]
        for (let left = 1; left > 0;) {
          const free = (): void => {
            const doomed = store.doomed(sweep)
            const some = doomed.slice(0, FREED_AT_ONCE)
            bytes += store.free(some)
            blocks += some.length
            left = doomed.length - some.length
          }
          await during('free', free, 'write', options)
          options?.onProgress?.(blocks)
        }
        return { blocks, bytes: store.frees === 'blocks' ? bytes : undefined }
      },
      end: async () => {
        if (store.sweep !== sweep) return
        if (this.#closed) return store.endSweep(sweep)
        await this.#call('end of sweep', 'end', undefined, () => {
          store.endSweep(sweep)
        })
      },
    }
  }

  compact(options?: CallOptions): Promise<{ before: undefined; after: undefined }> {
    return this.#call('compact', 'write', options, () => {
      this.#site.store.collect()
      return { before: undefined, after: undefined }
    })
  }

  status(options?: CallOptions): ReturnType<Backend['status']> {
    return this.#call('status', 'read', options, () => ({
      synced: true,
      sizeBytes: undefined,
      freeBytes: undefined,
      notes: [],
      details: {},
    }))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#site.store.expire(this.#owner)
  }
}

const copied = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

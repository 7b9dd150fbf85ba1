/** The calls of a backend, each handed to the part that does it. */
import type { Block, CidBytes } from '../../model/cid.ts'
import type {
  Backend,
  CallOptions,
  CommitOutcome,
  CommitRequest,
  CompactedSizes,
  Lease,
  NewestOptions,
  ReadOptions,
  Staging,
  StoreStatus,
  StoredCommit,
  Sweep,
} from '../../store/backend.ts'
import { getBlocks, hasBlocks } from './blocks.ts'
import { own, type Calls } from './calls.ts'
import { collectGarbage } from './compact.ts'
import { forgetCommits } from './forget.ts'
import { healBlocks } from './heal.ts'
import { leaseNotes } from './leases.ts'
import type { Parts } from './parts.ts'
import { datasetPath } from './paths.ts'
import { readDag } from './read-dag.ts'
import { KuboStaging } from './staging.ts'
import { readStatus } from './status.ts'
import { beginSweep, type SweepOptions } from './sweep.ts'

export class KuboBackend implements Backend {
  readonly kind = 'kubo'
  readonly location: string
  readonly provesBlocks = true
  readonly #parts: Parts
  readonly #calls: Calls
  readonly #version: string

  /** `version` is the node's. */
  constructor(parts: Parts, version: string) {
    this.location = `kubo:${parts.client.address}`
    this.#parts = parts
    this.#calls = parts.calls
    this.#version = version
  }

  /** Takes the compatible pointer's path, or throws if it is another program's. */
  async claim(signal: AbortSignal | undefined): Promise<void> {
    await this.#parts.compat?.claim(own({ signal }))
  }

  getBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
    return this.#calls.read(options, (call) => getBlocks(this.#parts.client, cids, call))
  }

  hasBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<boolean[]> {
    return this.#calls.read(options, (call) => hasBlocks(this.#parts.client, cids, call))
  }

  heal(blocks: readonly Block[], options?: CallOptions): Promise<void> {
    return this.#calls.change(options, (call) => healBlocks(this.#parts.client, blocks, call))
  }

  async *readDag(root: CidBytes, options?: CallOptions): AsyncGenerator<readonly Block[]> {
    const batches = readDag(this.#parts.client, root, own(options))
    try {
      for (;;) {
        const batch = await this.#calls.read(undefined, () => batches.next())
        if (batch.done === true) return
        yield batch.value
      }
    } finally {
      await batches.return(undefined)
    }
  }

  stage(dataset: string, label: string, options?: CallOptions): Promise<Staging> {
    return this.#calls.read(options, async () => {
      datasetPath(dataset)
      const lease = this.#parts.stagings.takeLate(`${dataset}: ${label}`)
      return new KuboStaging({ ...this.#parts, lease }, dataset, label)
    })
  }

  newest(
    dataset: string,
    than: number,
    options?: NewestOptions,
  ): Promise<StoredCommit | undefined> {
    return this.#calls.read(options, (call) => this.#parts.history.newest(dataset, than, call))
  }

  getCommit(
    dataset: string,
    number: number,
    options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    return this.#calls.read(options, (call) => this.#parts.history.commit(dataset, number, call))
  }

  oldest(dataset: string, options?: CallOptions): Promise<number | undefined> {
    return this.#calls.read(options, (call) => this.#parts.history.oldest(dataset, call))
  }

  datasets(options?: CallOptions): Promise<string[]> {
    return this.#calls.read(options, (call) => this.#parts.history.datasets(call))
  }

  commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    return this.#calls.change(options, async (call) => {
      const outcome = await this.#parts.committer.commit(request, call)
      if (outcome === 'committed')
        for (const one of [this.#parts.mirror, this.#parts.compat]) one?.poke(request.dataset)
      return outcome
    })
  }

  forget(dataset: string, below: number, options?: CallOptions): Promise<void> {
    const { mfs, history } = this.#parts
    return this.#calls.change(options, (call) => forgetCommits(mfs, history, dataset, below, call))
  }

  lease(note: string, options?: CallOptions): Promise<Lease> {
    return this.#calls.change(options, async (call) => {
      const lease = await this.#parts.leases.take(note, call)
      return { release: () => this.#calls.unlessClosed(() => lease.release()) }
    })
  }

  leases(options?: CallOptions): Promise<string[]> {
    return this.#calls.read(options, (call) =>
      leaseNotes(this.#parts.leases, this.#parts.onError, call),
    )
  }

  /**
   * A commit here relies on nothing but what it names in its intent and what a kept commit holds:
   * the node walks all that the commit's blocks link to when it pins them, and fails where it cannot.
   */
  sweeps(options?: CallOptions): Promise<number> {
    return this.#calls.read(options, () => Promise.resolve(0))
  }

  sweep({ waitMs, ...options }: SweepOptions): Promise<Sweep> {
    return this.#calls.change(options, async (call) => {
      // Intents of what was committed here just now would keep what it replaced.
      await this.#parts.tidy.settled()
      return beginSweep(this.#parts, { ...call, waitMs })
    })
  }

  compact(options?: CallOptions): Promise<CompactedSizes> {
    return this.#calls.change(options, (call) => collectGarbage(this.#parts.client, call))
  }

  status(options?: CallOptions): Promise<StoreStatus> {
    return this.#calls.read(options, (call) => readStatus(this.#parts.client, this.#version, call))
  }

  close(): Promise<void> {
    const { client, stagings, leases, sweeps, mirror, compat, tidy, onError } = this.#parts
    return this.#calls.close(async () => {
      stagings.stop()
      for (const held of [leases, sweeps]) await held.releaseAll().catch(onError)
      await Promise.all([mirror.settled(), compat?.settled()])
      await tidy.settled()
      client.close()
    })
  }
}

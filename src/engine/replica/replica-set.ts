/**
 * The replicas that a primary knows of: other stores, and services. It is asked by whoever writes
 * (has one of them taken this dataset's place? do enough of them have what was written?) and by a prune (what do
 * they not have yet?). It keeps no books: what a replica has is said by that replica.
 */
import { CairnError, isCairnError, toCairnError } from '../../errors.ts'
import type { Commit } from '../../model/commit.ts'
import type { Context } from '../context.ts'
import { fencedBy } from './promote.ts'
import { Pushes } from './pushes.ts'
import type { HeldBack, Replicas, Replicated } from './replicas.ts'
import { supersedes } from './standing.ts'
import { StoreTarget, type ReplicaStore, type ReplicaTarget } from './target.ts'

export interface ReplicaPolicy {
  /** Other stores, and services that have one. */
  readonly stores: readonly (ReplicaStore | ReplicaTarget)[]
  /** A write is acknowledged when so many of them have it; 0 unless given. */
  readonly ack?: number | undefined
  /** How long a write waits for that; 10 s unless given. */
  readonly ackMs?: number | undefined
}

interface Look {
  at: number
  isGood: boolean
  underWay: Promise<void> | undefined
}

/** A write looks at the replicas that often, and waits so long for the first look. */
const LOOK_EVERY_MS = 5000
const LOOK_MS = 3000

export class ReplicaSet implements Replicas {
  readonly #context: Context
  readonly #ack: number
  readonly #replicas: readonly ReplicaTarget[]
  readonly #looks = new WeakMap<Replicated, Look>()
  readonly #pushes: Pushes

  constructor(context: Context, { stores, ack = 0, ackMs }: ReplicaPolicy) {
    if (ack > stores.length) {
      throw new CairnError(
        'config',
        `${ack} replicas cannot acknowledge a write: ${stores.length} are named.`,
        {
          hint: 'Name as many stores in CAIRN_REPLICAS, or lower CAIRN_REPLICA_ACK.',
        },
      )
    }
    this.#context = context
    this.#ack = ack
    this.#replicas = stores.map((one) => ('open' in one ? new StoreTarget(context, one) : one))
    this.#pushes = new Pushes(context, this.#replicas, { ack, ackMs })
  }

  async beforeWrite(primary: Replicated): Promise<void> {
    const known = this.#looks.get(primary)
    if (known === undefined || !known.isGood) return this.#lookShared(primary)
    if (known.underWay !== undefined || performance.now() - known.at < LOOK_EVERY_MS) return
    this.#lookShared(primary).catch((error: unknown) => {
      this.#context.log.error('fence_failed', { dataset: primary.dataset, error: String(error) })
    })
  }

  /** Who asks meanwhile gets the same answer. After one that failed the next write waits for a new one. */
  #lookShared(primary: Replicated): Promise<void> {
    const known = this.#looks.get(primary)
    if (known?.underWay !== undefined) return known.underWay
    const look: Look = { at: 0, isGood: known?.isGood ?? false, underWay: undefined }
    this.#looks.set(primary, look)
    look.underWay = this.#look(primary)
      .then(
        () => (look.isGood = true),
        (error: unknown) => {
          look.isGood = false
          throw error
        },
      )
      .then(() => undefined)
      .finally(() => {
        look.at = performance.now()
        look.underWay = undefined
      })
    return look.underWay
  }

  /** Who does not answer in time cannot be asked; who answers later is heard all the same. */
  async #look(primary: Replicated): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, LOOK_MS)))
    try {
      const asked = this.#replicas.map((replica) => this.#lookAt(replica, primary))
      await Promise.race([Promise.all(asked), late])
    } finally {
      clearTimeout(timer)
    }
  }

  async #lookAt(replica: ReplicaTarget, primary: Replicated): Promise<void> {
    let theirs: Commit | undefined
    try {
      theirs = await replica.newest(primary.dataset)
    } catch (error) {
      return this.#notReached(replica, primary.dataset, error)
    }
    if (theirs === undefined || !supersedes(theirs, primary.seen.commit)) return
    await primary.fence(fencedBy(theirs))
    this.#context.log.error('fenced', { dataset: primary.dataset, by: replica.location })
  }

  #notReached({ location }: ReplicaTarget, dataset: string, error: unknown): void {
    this.#context.log.error('replica.not_reached', { dataset, location, error: String(error) })
  }

  async acknowledge(primary: Replicated): Promise<void> {
    if (this.#ack === 0) return
    try {
      await this.#pushes.reach(primary.dataset, primary.seen.commit.number)
    } catch (error) {
      // One that was promoted takes nothing from here: that is why it is waited for in vain.
      if (isCairnError(error, 'fenced')) await this.#look(primary)
      throw error
    }
  }

  async heldBack(primary: Replicated): Promise<HeldBack> {
    const { commit, stored } = await primary.current()
    const rules = await Promise.all(
      this.#replicas.map(async (replica, i): Promise<HeldBack> => {
        // Where it is the log says: verdicts are told over HTTP, too.
        const name = `replica ${i + 1} (${replica.location.replace(/:.*/, '')})`
        try {
          const theirs = await replica.newest(primary.dataset)
          return holdOf(theirs, commit, Buffer.from(stored.cid), name)
        } catch (error) {
          this.#notReached(replica, primary.dataset, error)
          return () => `${name} cannot be asked: ${toCairnError(error).code}`
        }
      }),
    )
    return (snapshot) => {
      for (const rule of rules) {
        const why = rule(snapshot)
        if (why !== undefined) return why
      }
      return undefined
    }
  }

  async close(): Promise<void> {
    this.#pushes.close()
    await Promise.all(this.#replicas.map((replica) => replica.close()))
  }
}

/** From the snapshot on which a replica stands all stay, and so does the log since. */
function holdOf(
  theirs: Commit | undefined,
  { identity, nextSeq }: Commit,
  cid: Buffer,
  name: string,
): HeldBack {
  if (theirs === undefined || theirs.identity !== identity) return () => `${name} has nothing of it`
  const isCurrent = theirs.replica !== undefined && cid.equals(theirs.replica.cid)
  const from = isCurrent ? nextSeq : theirs.snapshotSeq
  return ({ seq }) => (seq >= from ? `${name} may not have it yet` : undefined)
}

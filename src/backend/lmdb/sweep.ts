/** Sweeping: beginning, marking, and ending. free.ts deletes; sweep-mark.ts says what others do meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError, isCairnError } from '../../errors.ts'
import type { CallOptions, Freed, HeldCid, Sweep } from '../../store/backend.ts'
import { eachInTurns, nextNumber, numberOf } from './blocks.ts'
import type { Environment } from './environment.ts'
import { freeUnmarked } from './free.ts'
import type { FreeOptions } from './free.ts'
import { placeOf } from './keys.ts'
import { isVoid, listLeases, stillThere } from './leases.ts'
import type { HeldLease, ListedLease } from './leases.ts'
import { Marks } from '../marks.ts'
import { markBegun, markEnded, sweepUnderWay } from './sweep-mark.ts'
import type { UnderWay } from './sweep-mark.ts'

const POLL_MS = 50

/** Runs work that `close` waits for; rejects with `closed` after it. */
export type Tracked = <T>(options: CallOptions | undefined, use: () => Promise<T>) => Promise<T>

export interface SweepOptions extends CallOptions {
  readonly waitMs: number
}

export interface SweepParts {
  readonly environment: Environment
  readonly lease: HeldLease
  readonly tracked: Tracked
  /** Hears of an end that failed, where another error is the one to tell. */
  readonly onError: (error: unknown) => void
}

/**
 * Begins a sweep: the mark that makes every process touch what it uses, then the end of all stagings
 * that may have looked or written without knowing of the mark.
 */
export async function beginSweep(
  { environment, lease, tracked, onError }: SweepParts,
  options: SweepOptions,
): Promise<LmdbSweep> {
  const deadline = performance.now() + options.waitMs
  await lease.written
  const { cut, stagings } = await markSweep(environment, lease.id)
  try {
    for (;;) {
      const going = await stillGoing(environment, stagings)
      if (going === undefined) break
      if (performance.now() >= deadline) throw stagingGoesOn(going)
      await tracked(options, async () => await sleep(POLL_MS))
    }
    return new LmdbSweep(environment, lease, tracked, cut)
  } catch (error) {
    await endSweep(environment, lease).catch(onError)
    throw error
  }
}

async function markSweep(
  environment: Environment,
  owner: string,
): Promise<{ cut: number; stagings: ReadonlySet<string> }> {
  const found = await voidLeases(environment)
  return await environment.write('backend_unavailable', (tables) => {
    const gone = new Set(stillThere(tables, found))
    const kept = listLeases(tables).filter(({ id }) => !gone.has(id))
    const other = sweepUnderWay(tables.meta)?.owner
    const sweeper = kept.find(({ id }) => id === other)
    if (sweeper !== undefined) throw sweptElsewhere(sweeper)
    const cut = nextNumber(tables.meta)
    for (const id of gone) void tables.leases.remove(id)
    markBegun(tables, { owner, cut })
    const stagings = kept.filter(({ kind }) => kind === 'staging')
    return { cut, stagings: new Set(stagings.map(({ id }) => id)) }
  })
}

/** One of `stagings` that has not ended; those that are void are ended here. */
async function stillGoing(
  environment: Environment,
  stagings: ReadonlySet<string>,
): Promise<ListedLease | undefined> {
  const found = (await voidLeases(environment)).filter(({ id }) => stagings.has(id))
  if (found.length > 0) {
    await environment.write('backend_unavailable', (tables) => {
      for (const id of stillThere(tables, found)) void tables.leases.remove(id)
    })
  }
  return (await currentLeases(environment)).find(({ id }) => stagings.has(id))
}

async function voidLeases(environment: Environment): Promise<ListedLease[]> {
  const now = environment.now()
  return (await currentLeases(environment)).filter((lease) => isVoid(lease, now))
}

async function currentLeases(environment: Environment): Promise<ListedLease[]> {
  return await environment.read((tables) => {
    tables.leases.resetReadTxn()
    return listLeases(tables)
  })
}

export async function readerNotes(environment: Environment): Promise<string[]> {
  const now = environment.now()
  const leases = await currentLeases(environment)
  return leases
    .filter((lease) => lease.kind === 'reader' && !isVoid(lease, now))
    .map(({ note }) => note)
}

async function endSweep(environment: Environment, lease: HeldLease): Promise<void> {
  try {
    await environment.write('backend_unavailable', (tables) => markEnded(tables, lease.id))
  } finally {
    // Without its lease a sweep is nobody's: one that could not be ended must not be renewed for ever.
    await lease.release()
  }
}

export class LmdbSweep implements Sweep {
  readonly frees = 'blocks'
  readonly #environment: Environment
  readonly #lease: HeldLease
  readonly #tracked: Tracked
  readonly #underWay: UnderWay
  readonly #marks = new Marks()
  #ended: Promise<void> | undefined

  constructor(environment: Environment, lease: HeldLease, tracked: Tracked, cut: number) {
    this.#environment = environment
    this.#lease = lease
    this.#tracked = tracked
    this.#underWay = { owner: lease.id, cut }
  }

  /** A block that is missing is never marked: who looks at it next sees that it is not there. */
  async mark(blocks: readonly HeldCid[]): Promise<boolean[]> {
    return await this.#use(undefined, async () => {
      return await eachInTurns(this.#environment, blocks, undefined, (tables, { cid }) => {
        const place = placeOf(cid)
        if ('inline' in place) return false
        const number = numberOf(tables, place.digest)
        return number === undefined || this.#marks.add(number, cid)
      })
    })
  }

  async offer(): Promise<void> {
    await this.#use(undefined, async () => undefined)
  }

  async free(options: FreeOptions = {}): Promise<Freed> {
    return await this.#use(options, async () => {
      return await freeUnmarked(this.#environment, this.#underWay, this.#marks, options)
    })
  }

  /** Closing the store has ended it, too. */
  async end(): Promise<void> {
    this.#ended ??= this.#tracked(undefined, async () => {
      await endSweep(this.#environment, this.#lease)
    }).catch((error: unknown) => {
      if (!isCairnError(error, 'closed')) throw error
    })
    await this.#ended
  }

  async #use<T>(options: CallOptions | undefined, use: () => Promise<T>): Promise<T> {
    if (this.#ended !== undefined) throw new CairnError('closed', 'This sweep has ended.')
    return await this.#tracked(options, use)
  }
}

function sweptElsewhere({ pid, since }: ListedLease): CairnError {
  return new CairnError('busy', `Process ${pid} is sweeping this store.`, {
    hint: 'Wait until it has finished.',
    pid,
    since,
  })
}

function stagingGoesOn({ note, pid, since }: ListedLease): CairnError {
  return new CairnError('busy', `Process ${pid} is writing to this store: ${note}.`, {
    hint: 'Try again when it has finished.',
    pid,
    since,
  })
}

/** A store that is open in this process: its tables, its write transactions, its registration. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { CairnError } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'
import { failedWrite, storeError } from './errors.ts'
import { register } from './namespace.ts'
import type { Registration } from './namespace.ts'
import { MOST_TRIES, NewestTransaction } from './newest-transaction.ts'
import { checkFiles } from './preflight.ts'
import { checkRoom, SMALL } from './room.ts'
import type { Need } from './room.ts'
import { checkStillOurs, openLmdbFiles, openTables } from './tables.ts'
import type { Tables } from './tables.ts'
import { Turn } from './turn.ts'

const AGAIN = Symbol('again')

export interface EnvironmentOptions {
  readonly dir: string
  readonly create: boolean
  readonly pidNamespace: () => Promise<string | undefined>
  readonly writeTimeoutMs: number
  readonly now: () => number
}

export class Environment {
  readonly dir: string
  readonly now: () => number
  /** Commits that wait for the writer: while there are any, others keep their transactions short. */
  waitingCommits = 0
  /** Commits that were asked for so far: who sees it grow has company, even when none waits just now. */
  askedCommits = 0
  /** Sweeps of this process that have begun. */
  readonly sweeping: Set<string> = new Set()
  /** What all readers of this process have read in this turn of the event loop. */
  readonly turn: Turn = new Turn()
  readonly registration: Registration | undefined
  readonly #writeTimeoutMs: number
  readonly #newest: NewestTransaction
  #tables: Tables
  #inode: number | undefined
  /** Leases of stagings that are being written. */
  readonly #newStagings = new Set<Promise<void>>()
  /** Transactions under way. */
  readonly #writes = new Set<Promise<unknown>>()
  /** What transactions that are begun and not yet written may need on the disk. */
  #pending = 0
  /** While it is there, no transaction begins. */
  #alone: Promise<void> | undefined
  /** While it is there, nothing is read. */
  #swapping: Promise<void> | undefined
  /** Why lmdb may not be called any more: it would end the process. */
  #broken: CairnError | undefined

  constructor(
    { dir, writeTimeoutMs, now }: EnvironmentOptions,
    tables: Tables,
    newest: NewestTransaction,
    registration: Registration | undefined,
  ) {
    this.dir = dir
    this.now = now
    this.#tables = tables
    this.#writeTimeoutMs = writeTimeoutMs
    this.registration = registration
    this.#newest = newest
    this.#inode = inodeOf(dir)
  }

  /** Gives `read` the tables, which it must not keep. */
  async read<T>(read: (tables: Tables) => T): Promise<T> {
    while (this.#swapping !== undefined) await this.#swapping
    if (this.#broken !== undefined) throw this.#broken
    return read(this.#tables)
  }

  /** Settles when whoever opens a sweep from now on sees the stagings that have begun in this process. */
  async stagingsKnown(): Promise<void> {
    if (this.#newStagings.size > 0) await Promise.all(this.#newStagings)
  }

  announceStaging(written: Promise<void>): void {
    const forget = (): void => void this.#newStagings.delete(known)
    const known: Promise<void> = written.then(forget, forget)
    this.#newStagings.add(known)
  }

  /**
   * Runs `decideAndPut` in a write transaction. It must decide before it puts: a throw does not undo
   * what was put. When this settles the outcome is on disk; `unclear` is the code of an error that
   * leaves open whether it is. `need`: what it may write; if the disk lacks that, nothing is put.
   */
  async write<T>(
    unclear: ErrorCode,
    decideAndPut: (tables: Tables) => T,
    need: Need = SMALL,
  ): Promise<T> {
    return await this.#surelyBehindNewest(() => this.#write(unclear, decideAndPut, need))
  }

  /** After it, whatever any process had acknowledged before can be read. */
  async seeNewest(): Promise<void> {
    await this.#surelyBehindNewest(() => this.#write('backend_unavailable', () => undefined))
  }

  async #surelyBehindNewest<T>(transact: () => Promise<T | typeof AGAIN>): Promise<T> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      while (this.#alone !== undefined) await this.#alone
      if (this.#broken !== undefined) throw this.#broken
      const outcome = await transact()
      if (outcome !== AGAIN) return outcome
    }
    throw setBack(this.dir)
  }

  /** Without a `need` nothing may be written. */
  async #write<T>(
    unclear: ErrorCode,
    decideAndPut: (tables: Tables) => T,
    need?: Need,
  ): Promise<T | typeof AGAIN> {
    const tables = this.#tables
    const { env } = tables
    const state: WriteState = { begun: false, late: false, reserved: 0 }
    const written = env.transaction((): T | typeof AGAIN => {
      try {
        // Nobody waits any more, and the caller's buffers may hold other bytes by now.
        if (state.late) throw this.#tooLate('backend_timeout')
        this.#checkPlace()
        if (!this.#newest.precedes(env)) return AGAIN
        state.begun = true
        if (need !== undefined) this.#admit(tables, need, state)
        return decideAndPut(tables)
      } catch (error) {
        state.thrown = error
        throw error
      }
    })
    catchUnheard(env)
    const settled = written.catch(async (error: unknown) => {
      const failed = await failedWrite(error, this.dir, unclear)
      // After a put that failed the transaction fails too, and knows less about why.
      throw state.thrown === undefined ? failed : storeError(state.thrown, this.dir)
    })
    this.#track(settled)
    const giveBack = (): void => void (this.#pending -= state.reserved)
    settled.then(giveBack, giveBack)
    return await this.#inTime(settled, () => {
      state.late = true
      return this.#tooLate(state.begun ? unclear : 'backend_timeout')
    })
  }

  /** Inside a write transaction, before anything is put. */
  #admit(tables: Tables, need: Need, state: WriteState): void {
    checkStillOurs(tables, this.dir)
    checkRoom(this.dir, tables, need, this.#pending)
    state.reserved = need.bytes
    this.#pending += need.bytes
  }

  #track(written: Promise<unknown>): void {
    const forget = (): void => void this.#writes.delete(done)
    const done: Promise<void> = written.then(forget, forget)
    this.#writes.add(done)
  }

  /**
   * Runs `work` while this process writes nothing: what is under way has ended, and what comes waits.
   */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone !== undefined) await this.#alone
    const gate = makeGate()
    this.#alone = gate.passed
    try {
      const quiet = Promise.all(this.#writes)
      await this.#inTime(quiet, () => this.#tooLate('backend_timeout'))
      return await work()
    } finally {
      this.#alone = undefined
      gate.open()
    }
  }

  /**
   * Closes lmdb's files, runs `swap`, which may put others in their place, and opens what is there
   * then. Only inside `alone`, and while no other process has the store open.
   */
  async reopen(swap: () => Promise<void>): Promise<void> {
    const gate = makeGate()
    this.#swapping = gate.passed
    try {
      await this.#tables.env.close()
      this.#newest.close()
      await swap()
    } finally {
      await this.#openAgain()
      this.#swapping = undefined
      gate.open()
    }
    if (this.#broken !== undefined) throw this.#broken
  }

  async #openAgain(): Promise<void> {
    try {
      await checkFiles(this.dir)
      this.#tables = await openTables(openLmdbFiles(this.dir), this.dir, false)
      this.#inode = inodeOf(this.dir)
    } catch (error) {
      this.#broken = storeError(error, this.dir)
    }
  }

  /**
   * lmdb waits for the writer's lock without end: for a process that is stopped while it holds it, or
   * (lmdb-js 3.5.6) after its environment has broken down.
   */
  async #inTime<T>(work: Promise<T>, tooLate: () => CairnError): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(tooLate()), this.#writeTimeoutMs)
    })
    try {
      return await Promise.race([work, late])
    } finally {
      clearTimeout(timer)
    }
  }

  #tooLate(code: ErrorCode): CairnError {
    const seconds = this.#writeTimeoutMs / 1000
    return new CairnError(code, `The store in ${this.dir} took no write for ${seconds} seconds.`, {
      hint: 'See which other process has it open (a stopped one keeps the lock), then try again.',
      path: this.dir,
    })
  }

  /** Whether the folder still holds what was opened. */
  inPlace(): boolean {
    if (this.#swapping !== undefined) return true
    return inodeOf(this.dir) === this.#inode
  }

  async close(): Promise<void> {
    const open = this.#broken === undefined
    this.#broken ??= new CairnError('closed', 'This store was closed.')
    try {
      if (open) {
        await this.#inTime(this.#tables.env.close(), () => this.#tooLate('backend_timeout'))
        this.#newest.close()
      }
    } finally {
      await this.registration?.release()
    }
  }

  /** A folder that was deleted or swapped under us would swallow whatever we acknowledge. */
  #checkPlace(): void {
    if (this.inPlace()) return
    throw new CairnError('store_changed', `The store in ${this.dir} was deleted or replaced.`, {
      hint: 'Stop what works on it, put the right folder in its place, and open it again.',
      path: this.dir,
    })
  }
}

export async function openEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const { dir, create, pidNamespace } = options
  let registration: Registration | undefined
  try {
    const namespace = await pidNamespace()
    registration = namespace === undefined ? undefined : await register(dir, namespace)
    await checkFiles(dir)
    const newest = new NewestTransaction(dir)
    const env = openLmdbFiles(dir)
    try {
      newest.putRight(env)
      return new Environment(options, await openTables(env, dir, create), newest, registration)
    } catch (error) {
      await env.close()
      newest.close()
      throw error
    }
  } catch (error) {
    await registration?.release()
    throw await failedWrite(error, dir, 'backend_unavailable')
  }
}

interface WriteState {
  begun: boolean
  late: boolean
  /** Counted as pending. */
  reserved: number
  thrown?: unknown
}

function setBack(dir: string): CairnError {
  return new CairnError(
    'backend_unavailable',
    `Which transaction of the store in ${dir} is the newest is told wrongly, again and again.`,
    { hint: 'Does something open the store all the time? End it, then try again.', path: dir },
  )
}

interface Gate {
  readonly passed: Promise<void>
  open(): void
}

function makeGate(): Gate {
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => (open = resolve))
  return { passed, open }
}

function inodeOf(dir: string): number | undefined {
  return statSync(join(dir, 'data.mdb'), { throwIfNoEntry: false })?.ino
}

/**
 * A write that fails rejects a promise of lmdb-js's batch too, which nobody was given. It is made in
 * lmdb's own `setImmediate`, so it can be reached in one that was asked for later.
 */
function catchUnheard(env: Tables['env']): void {
  setImmediate(() => {
    void Promise.resolve(env.committed).catch(() => undefined)
  })
}

/** A series of kills: each on a store of its own, each followed by a look at everything. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../helpers/random.ts'
import { startChild, type Built, type Child } from './child.ts'
import type { Ground, Grounds } from './ground.ts'
import { chooseMoment, momentOf, undisturbed, whereIs, type Undisturbed } from './moments.ts'
import type { Operation, OperationName } from './operation.ts'

export type Victim = 'process' | 'node'

/** Operations on the stores of one backend. */
export interface Series<T> {
  readonly backend: 'lmdb' | 'kubo'
  readonly operation: Operation<T>
  readonly grounds: Grounds<T>
}

export interface Killed {
  readonly backend: 'lmdb' | 'kubo'
  readonly operation: OperationName
  readonly victim: Victim
  /** The step in which it died; `before` the first effect, `after` completion. */
  readonly step: string
  readonly problems: readonly string[]
}

export const isInside = ({ step }: Pick<Killed, 'step'>): boolean =>
  step !== 'before' && step !== 'after'

/**
 * Once in some hundred kills Kubo itself comes back with the root of MFS naming a block that it lacks,
 * and refuses to start. Nothing of ours can be seen on such a node, so that kill is made again.
 */
const NODE_LOST = /error loading filesroot/
const MOST_LOST_NODES = 3
const MOST_WAIT_MS = 60_000
const MORE_ACKS = 3

export class KillSeries<T> {
  /** Nodes that did not start again. */
  lostNodes = 0
  readonly #built: Built
  readonly #series: Series<T>
  /** One that was left alone. */
  #run: Undisturbed = []

  constructor(built: Built, series: Series<T>) {
    this.#built = built
    this.#series = series
  }

  /** Runs the operation to its end, to know its steps; answers what the checks say where nobody was killed. */
  async measure(): Promise<string[]> {
    const { operation, grounds } = this.#series
    const { ground, filled } = await grounds.make()
    try {
      const { appender, worker } = await this.#start(ground)
      await worker.ended()
      this.#run = undisturbed(worker, operation.first)
      await appender.stop()
      return await operation.check(ground, filled, appender.acks)
    } finally {
      await ground.dispose()
    }
  }

  async kill(seed: number, victim: Victim): Promise<Killed> {
    for (;;) {
      try {
        return await this.#killOnce(new Random(seed), victim)
      } catch (error) {
        if (!NODE_LOST.test(String(error)) || ++this.lostNodes > MOST_LOST_NODES) throw error
      }
    }
  }

  async #killOnce(random: Random, victim: Victim): Promise<Killed> {
    const { backend, operation, grounds } = this.#series
    const { ground, filled } = await grounds.make()
    let children: readonly Child[] = []
    try {
      const { appender, worker } = await this.#start(ground)
      children = [appender, worker]
      await momentOf(worker, operation.first, chooseMoment(random, this.#run))
      const { step, problems } = await (victim === 'node'
        ? this.#killNode(ground, worker, appender)
        : this.#killProcess(worker, appender))
      const found = await operation
        .check(ground, filled, appender.acks)
        .catch((error: unknown) => [
          error instanceof Error ? (error.stack ?? error.message) : String(error),
        ])
      const all = [...problems, ...found]
      return { backend, operation: operation.name, victim, step, problems: all }
    } finally {
      for (const child of children) await child.kill()
      await ground.dispose()
    }
  }

  async #start(ground: Ground): Promise<{ appender: Child; worker: Child }> {
    const { operation } = this.#series
    const appender = startChild(this.#built, 'append', ground.store, operation.append)
    await appended(appender, 1)
    const worker = startChild(this.#built, operation.name, ground.store, operation.options(ground))
    return { appender, worker }
  }

  async #killProcess(
    worker: Child,
    appender: Child,
  ): Promise<{ step: string; problems: string[] }> {
    await worker.kill()
    const step = whereIs(worker, this.#series.operation.first)
    const failure = worker.said.find(({ error }) => error !== undefined)
    const before = appender.acks.length
    await appended(appender, before + MORE_ACKS)
    const { acks, said } = appender
    const problems: string[] = []
    if (failure !== undefined) problems.push(`it failed by itself: ${JSON.stringify(failure)}`)
    if (acks.length < before + MORE_ACKS)
      problems.push(`appends did not go on after the kill: ${JSON.stringify(said.at(-1))}`)
    await appender.stop()
    return { step, problems }
  }

  /** The process is left to see it by itself. */
  async #killNode(
    { node }: Ground,
    worker: Child,
    appender: Child,
  ): Promise<{ step: string; problems: string[] }> {
    if (node === undefined) throw new Error('there is no node to kill')
    const step = whereIs(worker, this.#series.operation.first)
    await node.kill()
    await Promise.race([worker.ended(), sleep(MOST_WAIT_MS)])
    const problems = isAlive(worker) ? ['it did not end after its node had died'] : []
    if (isAlive(appender)) await Promise.race([appender.stop(), sleep(MOST_WAIT_MS)])
    await node.restart()
    return { step, problems }
  }
}

const isAlive = ({ process }: Child): boolean =>
  process.exitCode === null && process.signalCode === null

/** Waits until so many appends were acknowledged, for a while. */
async function appended(appender: Child, count: number): Promise<void> {
  const giveUpAt = performance.now() + MOST_WAIT_MS
  while (appender.acks.length < count && isAlive(appender) && performance.now() < giveUpAt)
    await sleep(2)
}

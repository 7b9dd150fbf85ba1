/**
 * A world for the automation: a store in memory, a clock that goes on when told, timers that ring by it.
 * Jobs, tasks, the engine and the files of memory are the real ones.
 */
import { onTestFinished } from 'vitest'
import { createAutomation, type Automation } from '../../src/automation/automation.ts'
import { openMemory } from '../../src/backend/memory.ts'
import type { Values } from '../../src/config/schema.ts'
import { Cairn } from '../../src/cairn.ts'
import type { InitOptions } from '../../src/engine/genesis.ts'
import { CairnError } from '../../src/errors.ts'
import type { Job } from '../../src/jobs/job.ts'
import { Jobs } from '../../src/jobs/jobs.ts'
import type { KeptSnapshot } from '../../src/model/kept.ts'
import type { Backend } from '../../src/store/backend.ts'
import { collect, tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { keptLog, turns, type LogLine } from '../jobs/helpers.ts'
import { NOON } from './situations.ts'
import { quietValues } from './values.ts'

export interface WorldOptions {
  readonly values?: Partial<Values>
  /** The disk: what another process of the same place left. */
  readonly backend?: Backend
  readonly dir?: string
  readonly now?: number
  readonly datasets?: Readonly<Record<string, InitOptions>>
  readonly random?: () => number
}

export interface World {
  readonly automation: Automation
  readonly jobs: Jobs
  readonly cairn: Cairn
  readonly backend: Backend
  readonly dir: string
  readonly clock: { now: number }
  readonly lines: LogLine[]
  /** What the store refuses; nothing at first. */
  readonly faults: Set<keyof Backend>
  /** What the store never answers. */
  readonly hangs: Set<keyof Backend>
  /** The names of what was called of the store, in order. */
  readonly calls: readonly string[]
  /** Holds the calls of this name back until what it returns is called. */
  hold(name: keyof Backend): () => void
  readonly values: (changes?: Partial<Values>) => Values
  /** Time goes on, and what is due happens on the way, each thing to its end. */
  advance(ms: number): Promise<void>
  /** Until no job is under way any more. */
  settle(): Promise<void>
  /** Lets things go on, without time, until this is so. */
  until(isSo: () => boolean | Promise<boolean>): Promise<void>
  append(count: number, dataset?: string): Promise<void>
  snapshots(dataset?: string): Promise<KeptSnapshot[]>
  /** The messages of the log, as people read them. */
  said(): string[]
  /** The timers ring, whatever the clock says. */
  ring(): void
  /** As SIGKILL: nothing it holds is told of. */
  kill(): void
}

interface Timer {
  readonly at: number
  readonly call: () => void
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const dir = options.dir ?? (await tempDir())
  const clock = { now: options.now ?? NOON }
  const now = (): number => clock.now
  const backend = options.backend ?? openMemory()
  const faults = new Set<keyof Backend>()
  const hangs = new Set<keyof Backend>()
  const calls: string[] = []
  const held = new Map<keyof Backend, Promise<void>>()
  const shown = faulty(backend, faults, hangs, held, calls)
  const cairn = new Cairn(shown, { now })
  for (const [name, init] of Object.entries(options.datasets ?? { main: {} }))
    await cairn.init(name, { content: 'external', ...init })
  const { log, lines } = keptLog()
  const timers = new Set<Timer>()
  const wake = (ms: number, call: () => void): (() => void) => {
    const timer = { at: clock.now + ms, call }
    timers.add(timer)
    return () => timers.delete(timer)
  }
  const values = (changes: Partial<Values> = {}): Values =>
    quietValues({ data_dir: dir, backups_dir: `${dir}/backups`, ...options.values, ...changes })
  const jobs = new Jobs({ now, log })
  const busy = countedListeners(jobs)
  const given = { cairn, backend: shown, jobs, values: values(), log, now, wake }
  const automation = createAutomation({ ...given, random: options.random ?? ((): number => 0) })
  let alive = true
  onTestFinished(() => automation.stop())

  const settle = async (): Promise<void> => {
    for (let quiet = 0; alive && quiet < 15; quiet++) {
      await turns(1)
      const open = jobs.list().some(({ state }) => state === 'queued' || state === 'running')
      if (open || busy() > 0) quiet = 0
    }
  }
  const advance = async (ms: number): Promise<void> => {
    const until = clock.now + ms
    for (;;) {
      await settle()
      const next = [...timers].toSorted((a, b) => a.at - b.at)[0]
      if (!alive) return
      if (next === undefined || next.at > until) break
      clock.now = Math.max(clock.now, next.at)
      timers.delete(next)
      next.call()
    }
    clock.now = until
  }
  let entries = 0
  return {
    automation,
    jobs,
    cairn,
    backend,
    dir,
    clock,
    lines,
    faults,
    hangs,
    calls,
    hold: (name) => {
      let release = (): void => {}
      held.set(name, new Promise((resolve) => (release = resolve)))
      return () => {
        held.delete(name)
        release()
      }
    },
    until: async (isSo) => {
      while (!(await isSo())) await turns(1)
    },
    values,
    advance,
    settle,
    append: async (count, name = 'main') => {
      const dataset = await cairn.dataset(name)
      const batch = Array.from({ length: count }, () => `e${entries++}-${clock.now}`)
      await dataset.appendBatch(batch.map((pi) => ({ pi, ver: 1, tip: tipOf(pi) })))
    },
    snapshots: async (name = 'main') => collect((await cairn.dataset(name)).snapshots()),
    said: () =>
      lines.flatMap(({ fields }) => ('message' in fields ? [String(fields['message'])] : [])),
    ring: () => {
      const set = [...timers]
      timers.clear()
      for (const { call } of set) call()
    },
    kill: () => {
      alive = false
      timers.clear()
    },
  }
}

/** The store, which refuses what is in `faults` and never answers what is in `hangs`. */
function faulty(
  backend: Backend,
  faults: ReadonlySet<keyof Backend>,
  hangs: ReadonlySet<keyof Backend>,
  held: ReadonlyMap<keyof Backend, Promise<void>>,
  calls: string[],
): Backend {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new CairnError('backend_unavailable', 'The store does not answer.', { hint: 'Start it.' }),
    )
  return new Proxy(backend, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...given: unknown[]): unknown => {
        calls.push(String(name))
        if (hangs.has(name as keyof Backend)) return new Promise<never>(() => {})
        if (faults.has(name as keyof Backend)) return refuse()
        const gate = held.get(name as keyof Backend)
        if (gate !== undefined)
          return gate.then(() => Reflect.apply(value, target, given) as unknown)
        return Reflect.apply(value, target, given)
      }
    },
  })
}

/** How many listeners of a registry have not yet done with what they were told. */
function countedListeners(jobs: Jobs): () => number {
  let busy = 0
  const onEnd = jobs.onEnd.bind(jobs)
  jobs.onEnd = (listener) =>
    onEnd(async (job: Job) => {
      busy++
      try {
        await listener(job)
      } finally {
        busy--
      }
    })
  return () => busy
}

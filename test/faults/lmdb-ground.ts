/**
 * The embedded store. Its steps are those of the contract, or the write transactions under them. What a
 * process leaves behind that dies between two of them is what lies in its file then: others get a copy.
 */
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Environment } from '../../src/backend/lmdb/environment.ts'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import type { ErrorCode } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import { steppedBackend } from './contract.ts'
import { AHEAD_MS, type Ground, type Grounds } from './ground.ts'
import { fillStore, START, type Clock, type Material } from './material.ts'
import type { StepKind, Steps } from './steps.ts'

export type LmdbLevel = 'contract' | 'transactions'

/** Whose transactions are steps, by the folder. */
const stepsOf = new Map<string, Steps>()

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'cairn-faults-'))
const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true })

export async function lmdbGrounds(level: LmdbLevel): Promise<Grounds> {
  if (level === 'transactions') makeTransactionsSteps()
  const template = await newFolder()
  const backend = await openLmdb({ dir: template, create: true })
  const material = await fillStore(backend, { now: START })
  await backend.close()
  const make = async (): Promise<Ground> => {
    const folder = await newFolder()
    await copyStore(template, join(folder, 'store'))
    return lmdbGround(folder, material, level)
  }
  return {
    name: level === 'contract' ? 'lmdb' : 'lmdb transactions',
    // Time passes for all that are open.
    atOnce: level === 'contract' ? 4 : 1,
    make,
    dispose: () => remove(template),
  }
}

/** What a process that died would leave: neither locks nor registrations of the living. */
async function copyStore(from: string, to: string): Promise<void> {
  await mkdir(to)
  for (const name of await readdir(from)) {
    if (name === 'data.mdb' || name === 'compacting')
      await cp(join(from, name), join(to, name), { recursive: true })
  }
}

function lmdbGround(folder: string, material: Material, level: LmdbLevel): Ground {
  const clock: Clock = { now: START }
  let dir = join(folder, 'store')
  let died = false
  const openAt = (): ReturnType<typeof openLmdb> => openLmdb({ dir, now: () => clock.now })
  const open = async (): ReturnType<typeof openLmdb> => {
    const left = join(folder, 'left')
    if (died && dir !== left) {
      await copyStore(dir, left)
      dir = left
    }
    return openAt()
  }
  return {
    clock,
    material,
    counts: true,
    openStepped: async (steps) => {
      const backend = await openAt()
      void steps.died.then(() => (died = true))
      if (level === 'contract') return steppedBackend(backend, steps)
      stepsOf.set(dir, steps)
      return { backend, handles: [] }
    },
    open,
    bury: async () => {
      if (level === 'contract') clock.now += AHEAD_MS
      else await passTime(await open(), clock)
    },
    collect: () => Promise.resolve(),
    dispose: async () => {
      stepsOf.delete(join(folder, 'store'))
      await remove(folder)
    },
  }
}

/** Two hours, in which whoever lives renews what it holds. */
async function passTime(backend: Backend, clock: Clock): Promise<void> {
  for (let passed = 0; passed < AHEAD_MS; passed += STRIDE_MS) {
    clock.now += STRIDE_MS
    for (const renew of renewals.values()) renew()
  }
  // One transaction comes after another: behind this one all are renewed.
  await backend.heal([])
  await backend.close()
}

const RENEW_MS = 300_000
/** Less than it takes for a lease to be void. */
const STRIDE_MS = 2_700_000
const renewals = new Map<NodeJS.Timeout, () => void>()

/** Takes renewals from the timers, so that tests can make time pass. */
function takeRenewals(): void {
  const { setInterval: set, clearInterval: clear } = globalThis
  const setting = (call: () => void, ms?: number): NodeJS.Timeout => {
    const timer = set(call, ms)
    if (ms === RENEW_MS) renewals.set(timer, call)
    return timer
  }
  const clearing = (timer: NodeJS.Timeout | undefined): void => {
    if (timer !== undefined) renewals.delete(timer)
    clear(timer)
  }
  Object.assign(globalThis, { setInterval: setting, clearInterval: clearing })
}

let isMade = false

/** Every transaction goes through `write`; test/faults/lmdb.test.ts looks that no other way is taken. */
function makeTransactionsSteps(): void {
  if (isMade) return
  isMade = true
  takeRenewals()
  for (const name of ['write', 'reopen'] as const) {
    const real = Reflect.get(Environment.prototype, name) as Call
    const stepped = function (this: Environment, ...given: unknown[]): Promise<unknown> {
      const unclear = name === 'write' ? (given[0] as ErrorCode) : 'backend_unavailable'
      const step = name === 'write' ? callerName() : 'swap of files'
      const work = (): Promise<unknown> => Reflect.apply(real, this, given)
      return stepIn(this, { name: step, effect: true, unclear }, work)
    }
    Reflect.set(Environment.prototype, name, stepped)
  }
}

type Call = (...given: unknown[]) => Promise<unknown>

async function stepIn<T>({ dir }: Environment, kind: StepKind, work: () => Promise<T>): Promise<T> {
  const found = [...stepsOf].find(([folder]) => dir === folder || dir.startsWith(`${folder}/`))
  return found === undefined ? work() : found[1].take(kind, work)
}

/** Who asks for a transaction: `commit in index`. */
function callerName(): string {
  const frames = (new Error().stack ?? '').split('\n').slice(1)
  const frame = frames.find((line) => /backend.lmdb/.test(line)) ?? ''
  const name = /at (?:async )?(?:new )?(\S+) \(/.exec(frame)?.[1] ?? 'somebody'
  const file = /([\w-]+)\.[jt]s/.exec(frame)?.[1] ?? ''
  return `${name.replace(/^.*[.#]/, '')} in ${file}`
}

/**
 * The crash test: every operation is run by a process that kills itself, once at each of its durable
 * steps, on a fresh copy of a small store. Then the store is opened and looked at, all of it:
 *
 *   - what was acknowledged is there, with its content
 *   - the dataset is as it was before the operation, or as it is after it, and never between
 *   - every kept block is proved, and what counts as a backup is whole
 *   - the same operation, run again, succeeds
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openCars } from '../../backup/open-cars.ts'
import { readBackups } from '../../backup/folder.ts'
import { exportToFile } from '../../backup/write-car.ts'
import { openBackend, openCairn } from '../../compose.ts'
import { Cairn } from '../../cairn.ts'
import type { LongOptions } from '../../engine/context.ts'
import { CairnError, throwIfAborted, toCairnError } from '../../errors.ts'
import { verifyDataset } from '../../verify/verify.ts'
import type { Moment, Orders, Told } from './child.ts'
import {
  DATASET,
  fillForKills,
  groundIn,
  runOperation,
  stateOf,
  type Ack,
  type Ground,
  type OperationName,
} from './operations.ts'

export interface Kill {
  readonly operation: OperationName
  readonly step: string
  readonly moment: Moment
  /** Whether the process died there, and not by an error of its own. */
  readonly killed: boolean
  readonly recovered: boolean
  /** From opening the store again until all of it was looked at. */
  readonly ms: number
  readonly problem: string | null
}

export interface KillsOptions extends LongOptions {
  /** The scratch folder. */
  readonly folder: string
  readonly operations: readonly OperationName[]
  readonly onKill: (kill: Kill) => Promise<void>
}

/** Steps whose effect reaches the disk while they are under way. */
const LASTING = new Set(['commit', 'flush', 'free', 'forget', 'sync file', 'name file'])
const CHILD = fileURLToPath(new URL('child.js', import.meta.url))

type State = ReadonlyMap<string, number>

interface Expected {
  readonly before: State
  readonly after: State
}

export async function runKills({ folder, operations, ...options }: KillsOptions): Promise<void> {
  const template = groundIn(join(folder, 'template'))
  await makeTemplate(template)
  for (const operation of operations) {
    const trial = groundIn(join(folder, 'trial'))
    const { expected, steps } = await undisturbed(operation, template, trial)
    const moments = steps.flatMap((step, dieAt) => {
      const both: readonly Moment[] = LASTING.has(step) ? ['before', 'during'] : ['before']
      return both.map((moment) => ({ step, dieAt, moment }))
    })
    for (const [done, { step, dieAt, moment }] of moments.entries()) {
      throwIfAborted(options.signal)
      options.onProgress?.({ step: `kill ${operation}`, done, total: moments.length })
      await freshGround(template, trial)
      const { told, signal } = await runChild({ operation, ground: trial, dieAt, moment }, options)
      const began = performance.now()
      const problem = await recoveryProblem(operation, trial, expected, told)
      const ms = Math.round(performance.now() - began)
      const killed = signal === 'SIGKILL'
      const failed = killed ? null : diedOtherwise(told, moment)
      const all = problem ?? failed
      await options.onKill({
        operation,
        step,
        moment,
        killed,
        recovered: all === null,
        ms,
        problem: all,
      })
    }
  }
}

/** A step may be over before a signal that was sent during it arrives. */
function diedOtherwise(told: readonly Told[], moment: Moment): string | null {
  const failure = told.find((one) => 'error' in one)
  if (failure !== undefined && 'error' in failure) return `it failed by itself: ${failure.error}`
  return moment === 'during' ? null : 'it was not killed'
}

async function makeTemplate(ground: Ground): Promise<void> {
  await mkdir(ground.backups, { recursive: true })
  await using cairn = await openCairn(`lmdb:${ground.store}`)
  const { dataset } = await cairn.init(DATASET, { content: 'linked' })
  await fillForKills(dataset, 'mine')
  await using other = await openCairn('memory:')
  const theirs = await other.init(DATASET, { content: 'linked' })
  await fillForKills(theirs.dataset, 'theirs')
  const form = { version: 1, recipients: [], force: true, now: Date.now } as const
  await exportToFile(theirs.dataset, ground.car, form)
}

/** The copy is of a store that nobody has open. */
async function freshGround(template: Ground, trial: Ground): Promise<void> {
  await removeGround(trial)
  await mkdir(trial.store, { recursive: true })
  await mkdir(trial.backups, { recursive: true })
  await cp(join(template.store, 'data.mdb'), join(trial.store, 'data.mdb'))
  await cp(template.car, trial.car)
}

async function removeGround({ store, backups, car }: Ground): Promise<void> {
  for (const path of [store, backups, car]) await rm(path, { recursive: true, force: true })
}

/** The operation by a process that nobody kills: its steps, and the states before and after. */
async function undisturbed(
  operation: OperationName,
  template: Ground,
  trial: Ground,
): Promise<{ expected: Expected; steps: string[] }> {
  await freshGround(template, trial)
  const before = await stateIn(trial)
  const orders = { operation, ground: trial, dieAt: null, moment: 'before' } as const
  const { told } = await runChild(orders, {})
  const failure = told.find((one) => 'error' in one)
  if (failure !== undefined && 'error' in failure) {
    throw new CairnError('unhealthy', `Without any kill ${operation} failed: ${failure.error}`, {
      hint: 'See `cairn doctor`, and whether the disk has enough space.',
    })
  }
  const steps = told.flatMap((one) => ('step' in one ? [one.step] : []))
  return { expected: { before, after: await stateIn(trial) }, steps }
}

async function stateIn({ store }: Ground): Promise<State> {
  await using cairn = await openCairn(`lmdb:${store}`, { create: false })
  return await stateOf(await cairn.dataset(DATASET))
}

async function runChild(
  orders: Orders,
  { signal }: Pick<LongOptions, 'signal'>,
): Promise<{ told: Told[]; signal: NodeJS.Signals | null }> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(orders)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(signal === undefined ? {} : { signal, killSignal: 'SIGKILL' as const }),
  })
  const told: Told[] = []
  createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line) as Told))
  const [, by] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { told, signal: by }
}

/** What did not recover, in words; null when all did. */
async function recoveryProblem(
  operation: OperationName,
  ground: Ground,
  expected: Expected,
  told: readonly Told[],
): Promise<string | null> {
  try {
    const acks = told.flatMap((one) => ('ack' in one ? [one.ack] : []))
    const backend = await openBackend(`lmdb:${ground.store}`, { create: false })
    await using cairn = new Cairn(backend)
    const found = await stateOf(await cairn.dataset(DATASET))
    const lost = acks.find(({ pi, ver }) => found.get(pi) !== ver)
    if (lost !== undefined) return `"${lost.pi}" was acknowledged and is lost`
    if (!isBetween(found, expected, acks)) return 'it holds neither the old state nor the new one'
    await checkBackups(ground)
    await runOperation(operation, cairn, ground, () => {})
    if (!same(await stateOf(await cairn.dataset(DATASET)), expected.after))
      return 'run again, the operation led to another state'
    const report = await verifyDataset(backend, DATASET, {
      mode: { kind: 'full' },
      ledgerDir: join(ground.backups, 'ledger'),
    })
    return report.verdict === 'sound' ? null : `a verification found it ${report.verdict}`
  } catch (error) {
    const { code, message } = toCairnError(error)
    return `${code}: ${message}`
  }
}

/** The old state, the new one, or the old one with some of what was appended. */
function isBetween(found: State, { before, after }: Expected, acks: readonly Ack[]): boolean {
  if (same(found, before) || same(found, after)) return true
  const isOld = [...before].every(([pi, ver]) => found.get(pi) === ver)
  const isNoNewer = [...found].every(([pi, ver]) => after.get(pi) === ver)
  // The one that was under way may have been taken.
  return isOld && isNoNewer && found.size - before.size <= acks.length + 1
}

const same = (a: State, b: State): boolean =>
  a.size === b.size && [...a].every(([pi, ver]) => b.get(pi) === ver)

/** Everything that counts as a backup opens, and its state is found; nothing says to be one and is none. */
async function checkBackups({ backups }: Ground): Promise<void> {
  const { backups: whole, damaged } = await readBackups(backups)
  for (const { path, reason } of damaged)
    throw new CairnError('invalid_car', `${path} is half a backup: ${reason}`)
  for (const { paths, sidecar } of whole) {
    const opened = await openCars([paths.car])
    const blocks = opened.cars[0]?.blockCount
    await opened.close()
    if (sidecar.dataset !== DATASET || blocks === undefined || blocks === 0)
      throw new CairnError('invalid_car', `The backup ${paths.car} is not whole.`)
  }
}

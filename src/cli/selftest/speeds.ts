/**
 * Every operation once, end to end, on a scratch store: whether it does what it says, and how fast this
 * disk lets it.
 */
import { join } from 'node:path'
import { openCars } from '../../backup/open-cars.ts'
import { exportToFolder } from '../../backup/write-car.ts'
import { openBackend, openCairn } from '../../compose.ts'
import { Cairn } from '../../cairn.ts'
import type { LongOptions } from '../../engine/context.ts'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError, throwIfAborted, toCairnError } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'
import { verifyDataset } from '../../verify/verify.ts'
import { contentOf, DATASET, groundIn, putVersion, stateOf } from './operations.ts'

export interface Check {
  readonly operation: string
  readonly ok: boolean
  readonly ms: number
  /** How much was done in that time, of what. */
  readonly amount: number | null
  readonly unit: 'appends' | 'entities' | 'bytes' | null
  readonly problem: string | null
}

type Done = Pick<Check, 'amount' | 'unit'>

export interface SpeedsOptions extends LongOptions {
  /** The scratch folder. */
  readonly folder: string
  readonly onCheck: (check: Check) => Promise<void>
}

const ALONE = 100
const AT_ONCE = 64
const AT_ONCE_ROUNDS = 15
const ENTITIES = 4000
const BATCH = 1000

/** Ends early where a step fails on which the others build. */
export async function runSpeeds({ folder, onCheck, ...options }: SpeedsOptions): Promise<void> {
  const { signal, onProgress } = options
  const { store, backups } = groundIn(join(folder, 'speeds'))
  const copy = join(folder, 'speeds', 'restored')
  const check = async (operation: string, work: () => Promise<Done>): Promise<boolean> => {
    throwIfAborted(signal)
    onProgress?.({ step: operation, done: 0 })
    const began = performance.now()
    const outcome = await work().catch((error: unknown) => toCairnError(error))
    const ms = Math.round(performance.now() - began)
    if (outcome instanceof CairnError) {
      if (outcome.code === 'aborted') throw outcome
      const problem = `${outcome.code}: ${outcome.message}`
      await onCheck({ operation, ok: false, ms, amount: null, unit: null, problem })
      return false
    }
    await onCheck({ operation, ok: true, ms, ...outcome, problem: null })
    return true
  }

  const backend = await openBackend(`lmdb:${store}`)
  await using cairn = new Cairn(backend)
  const { dataset } = await cairn.init(DATASET, { content: 'linked' })
  let car = ''
  const steps: readonly (readonly [string, () => Promise<Done>])[] = [
    ['append, one after another', () => appendAlone(dataset)],
    [`append, ${AT_ONCE} at once`, () => appendAtOnce(dataset)],
    ['append in batches', () => appendBatches(dataset)],
    ['build', () => build(dataset)],
    [
      'export',
      async () => {
        const form = { version: 1, recipients: [], force: true, now: Date.now } as const
        const { backup } = await exportToFolder(dataset, backups, { ...form, signal })
        car = backup.paths.car
        return { amount: backup.sidecar.size_bytes, unit: 'bytes' }
      },
    ],
    ['restore', () => restore(dataset, car, copy, options)],
    [
      'verify',
      async () => {
        const ledgerDir = join(folder, 'speeds', 'ledger')
        const report = await verifyDataset(backend, DATASET, {
          mode: { kind: 'full' },
          ledgerDir,
          signal,
        })
        if (report.verdict === 'sound') return { amount: report.bytes, unit: 'bytes' }
        throw new CairnError('damage_found', `A verification found it ${report.verdict}.`)
      },
    ],
    ['prune', () => prune(dataset)],
  ]
  for (const [operation, work] of steps) if (!(await check(operation, work))) return
}

async function appendAlone(dataset: Dataset): Promise<Done> {
  for (let n = 0; n < ALONE; n++) await dataset.put(`alone-${n}`, contentOf(`alone-${n}`, 1))
  return { amount: ALONE, unit: 'appends' }
}

async function appendAtOnce(dataset: Dataset): Promise<Done> {
  const lane = async (name: string): Promise<void> => {
    for (let n = 0; n < AT_ONCE_ROUNDS; n++) {
      const pi = `${name}-${n}`
      await dataset.put(pi, contentOf(pi, 1))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => lane(`lane-${i}`)))
  return { amount: AT_ONCE * AT_ONCE_ROUNDS, unit: 'appends' }
}

async function appendBatches(dataset: Dataset): Promise<Done> {
  for (let at = 0; at < ENTITIES; at += BATCH) await putVersion(dataset, `batch-${at}`, 1, BATCH)
  return { amount: ENTITIES, unit: 'appends' }
}

async function build(dataset: Dataset): Promise<Done> {
  await dataset.build()
  const { size } = await stateOf(dataset)
  const expected = ALONE + AT_ONCE * AT_ONCE_ROUNDS + ENTITIES
  if (size === expected) return { amount: size, unit: 'entities' }
  throw new CairnError('blocks_missing', `Of ${expected} entities ${size} are there.`)
}

/** Into a store of its own, which must come to the same tree. */
async function restore(
  dataset: Dataset,
  car: string,
  folder: string,
  { signal }: LongOptions,
): Promise<Done> {
  const opened = await openCars([car])
  try {
    await using cairn = await openCairn(`lmdb:${folder}`)
    const { root, totalCount } = await cairn.restoreCar(opened.cars, { signal })
    if (printCid(root) !== (await dataset.status()).root)
      throw new CairnError('block_mismatch', 'What was restored is not what was exported.')
    return { amount: totalCount, unit: 'entities' }
  } finally {
    await opened.close()
  }
}

async function prune(dataset: Dataset): Promise<Done> {
  await dataset.prune({ policy: { last: 1 } })
  return { amount: (await stateOf(dataset)).size, unit: 'entities' }
}

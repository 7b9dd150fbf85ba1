/**
 * Verifying a dataset in its store: reads, hashes and decodes, writes nothing but the ledger, never
 * repairs. It needs neither the dataset's snapshot nor its chain to be readable.
 *
 *   1 read the newest commit, and take a lease on what it keeps
 *   2 survey: prove the pointer and the spines, which tells what parts there are
 *   3 prove the parts that the mode asks for
 *   4 if something was found, and the dataset has moved on meanwhile, look again: a prune may have
 *     taken what was kept before
 */
import { isCairnError } from '../errors.ts'
import { releaseLease, takeLease } from '../engine/lease.ts'
import { SILENT, type Logger } from '../engine/logger.ts'
import { newestCommit } from '../engine/checked-commit.ts'
import type { CidBytes } from '../model/cid.ts'
import type { Commit, EncodedCommit } from '../model/commit.ts'
import type { Backend, Lease } from '../store/backend.ts'
import { Ledger } from './ledger.ts'
import type { Part } from './part.ts'
import { plannedParts, type VerifyMode } from './plan.ts'
import { pointerReport, reportOf, type DamagedTarget, type VerifyReport } from './report.ts'
import { countUnreachable } from './unreachable.ts'
import { Verification } from './verification.ts'

export interface RunOptions {
  /** The folder of the ledgers. */
  readonly ledgerDir: string
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
  readonly tempDir?: string | undefined
  /** Told of what went wrong beside the verification. */
  readonly log?: Logger | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?:
    ((progress: { step: string; done: number; total?: number }) => void) | undefined
}

export interface VerifyOptions extends RunOptions {
  readonly mode: VerifyMode
  /** From 0 up to 1; which parts a sample takes. */
  readonly random?: (() => number) | undefined
}

export async function verifyDataset(
  backend: Backend,
  dataset: string,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const { mode, now = Date.now } = options
  const until = mode.kind === 'budget' ? now() + mode.ms : Infinity
  const target = await openTarget(backend, dataset, options)
  if ('damage' in target) return pointerReport(target, mode.kind, now())
  const { ledger, stored } = target
  let commit = stored.commit
  let run: Verification
  try {
    run = await proved(backend, commit, ledger, until, options)
    if (run.record.faulty.length > 0 && !run.record.silent) {
      const { commit: newest } = await newestCommit(backend, dataset, options)
      if (newest.number !== commit.number) {
        run = await lookedAgain(backend, newest, ledger, run, options)
        commit = newest
      }
    }
  } catch (error) {
    await ledger.save().catch(() => undefined)
    throw error
  }
  const report = reportOf(run, commit, ledger, mode.kind, now())
  const counts = mode.kind === 'full' && report.verdict === 'sound'
  const unreachable = counts ? await countUnreachable(backend, options) : null
  return saved(ledger, { ...report, unreachable })
}

/** A ledger that cannot be written is an error, but for one thing: it does not hide damage. */
async function saved(ledger: Ledger, report: VerifyReport): Promise<VerifyReport> {
  try {
    await ledger.save()
    return report
  } catch (error) {
    if (report.verdict === 'sound') throw error
    const why = error instanceof Error ? error.message : String(error)
    return { ...report, notes: [...report.notes, `the ledger could not be written: ${why}`] }
  }
}

/** One run by the mode. It is closed, but for its findings. */
async function proved(
  backend: Backend,
  commit: Commit,
  ledger: Ledger,
  until: number,
  options: VerifyOptions,
): Promise<Verification> {
  const { mode, random = Math.random } = options
  return withRun(backend, commit, ledger, options, async (run) => {
    await run.survey(until)
    if (mode.kind === 'quick') await run.quick()
    const provedAt = (id: string): number | null => ledger.get(id).proved
    await run.proveParts(plannedParts(mode, run.parts.values(), provedAt, random), until)
    if (mode.kind === 'full') await run.canonical()
  })
}

/** The parts in which something was found, as far as they still are parts. */
async function lookedAgain(
  backend: Backend,
  commit: Commit,
  ledger: Ledger,
  before: Verification,
  options: RunOptions,
): Promise<Verification> {
  return withRun(backend, commit, ledger, options, async (run) => {
    await run.survey(Infinity)
    await run.proveParts(namedParts(run, before.record.faulty), Infinity)
    run.record.proved += before.record.proved
    run.record.blocks += before.record.blocks
    run.record.bytes += before.record.bytes
  })
}

export function namedParts(run: Verification, ids: Iterable<string>): Part[] {
  return [...new Set(ids)].flatMap((id) => run.parts.get(id) ?? [])
}

/** A verification under a lease on all that the commit keeps. */
export async function withRun(
  backend: Backend,
  commit: Commit,
  ledger: Ledger,
  options: RunOptions,
  work: (run: Verification) => Promise<void>,
): Promise<Verification> {
  const { now = Date.now, signal, onProgress, tempDir, log = SILENT } = options
  const run = new Verification({ backend, commit, ledger, now, signal, onProgress, tempDir })
  const leases: Lease[] = []
  const hold = async (snapshots: readonly CidBytes[]): Promise<void> => {
    const { dataset, number } = commit
    const note = { dataset, commit: number, snapshots, purpose: 'verify' }
    leases.push(await takeLease({ backend }, note, { signal }))
  }
  try {
    await hold([])
    await hold(await run.keptSnapshots())
    await work(run)
    return run
  } finally {
    run.close()
    for (const lease of leases) await releaseLease({ log }, lease)
  }
}

interface Target {
  readonly stored: EncodedCommit
  readonly ledger: Ledger
}

export async function openTarget(
  backend: Backend,
  dataset: string,
  { ledgerDir, signal }: RunOptions,
): Promise<Target | DamagedTarget> {
  let stored: EncodedCommit
  try {
    stored = await newestCommit(backend, dataset, { signal })
  } catch (damage) {
    if (isCairnError(damage, 'pointer_damaged')) return { dataset, damage }
    throw damage
  }
  const { identity } = stored.commit
  const ledger = await Ledger.open(ledgerDir, { location: backend.location, dataset, identity })
  return { stored, ledger }
}

/**
 * A drill: restoring a backup into a store that is thrown away afterwards, to know that it can be done,
 * how long it takes, and how much would be lost. What it finds wrong is a failed check of the report;
 * what stops it is an error.
 */
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cairn } from '../cairn.ts'
import type { LongOptions } from '../engine/context.ts'
import type { Dataset } from '../engine/dataset.ts'
import type { RestoredCar } from '../engine/restore-car.ts'
import { printCid } from '../model/cid.ts'
import type { CommitRecord } from '../model/commit.ts'
import { ifItAnswers, type DrillCheck } from './drill-check.ts'
import { sampleChecks } from './drill-sample.ts'
import type { Backup } from './folder.ts'
import { openCars } from './open-cars.ts'
import { requireSpace } from './space.ts'

export interface DrillOptions extends LongOptions {
  /** The CARs to restore: one, or a delta and its bases. */
  readonly sources: readonly string[]
  /** What they are called where their paths say nothing. */
  readonly names?: ReadonlyMap<string, string> | undefined
  /** How long it took to have them here, which a real recovery would take as well. */
  readonly fetchMs?: number | undefined
  /** The backup that they are, if they have a sidecar. */
  readonly backup?: Backup | undefined
  readonly identities?: readonly string[] | undefined
  /** The folder in which the scratch store is made. */
  readonly scratch: string
  readonly openStore: (folder: string) => Promise<Cairn>
  /** What the backup was made of, if it can be had. */
  readonly live?: Dataset | undefined
  /** How many entities are looked at one by one. */
  readonly sample: number
  readonly maxRtoMs?: number | undefined
  readonly maxRpoMs?: number | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface Drilled {
  readonly dataset: string
  readonly snapshot: string
  readonly totalCount: number
  readonly checks: readonly DrillCheck[]
  readonly sampled: number
  /** How many of those were found in the live dataset as they were. */
  readonly compared: number
  readonly times: { readonly openMs: number; readonly restoreMs: number; readonly verifyMs: number }
  /** Until the restored dataset answered. */
  readonly rtoMs: number
  /** How long ago the newest entry of the backup was made. */
  readonly ageMs: number
  /** What a loss of the live store would cost now: 0 if all of it is in the backup, else `ageMs`. */
  readonly rpoMs: number
}

const PREFIX = 'cairn-drill-'
const STALE_MS = 24 * 3_600_000
/** A store takes more room than the CAR it came from. */
const STORE_SIZE = 2

export async function drill(options: DrillOptions): Promise<Drilled> {
  const { scratch, sources, now } = options
  await mkdir(scratch, { recursive: true, mode: 0o700 })
  await removeStale(scratch, now())
  await requireSpace(scratch, STORE_SIZE * (await sizeOf(sources)), 'The scratch store')
  const folder = await mkdtemp(join(scratch, PREFIX))
  try {
    return await drillIn(folder, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function drillIn(folder: string, options: DrillOptions): Promise<Drilled> {
  const { sources, names, identities, openStore, signal, onProgress } = options
  const began = performance.now() - (options.fetchMs ?? 0)
  const opened = await openCars(sources, {
    names,
    identities,
    tempDir: folder,
    signal,
    onProgress,
  })
  try {
    const openMs = performance.now() - began
    const cairn = await openStore(join(folder, 'store'))
    try {
      const report = await cairn.restoreCar(opened.cars, { tempDir: folder, signal, onProgress })
      const restored = await cairn.dataset(report.dataset)
      await restored.list({ limit: 1, signal })
      const rtoMs = performance.now() - began
      return await verify(restored, report, { ...options, openMs, rtoMs })
    } finally {
      await cairn.close()
    }
  } finally {
    await opened.close()
  }
}

interface Timed extends DrillOptions {
  readonly openMs: number
  readonly rtoMs: number
}

async function verify(restored: Dataset, report: RestoredCar, options: Timed): Promise<Drilled> {
  const { backup, openMs, rtoMs, signal, now } = options
  const began = performance.now()
  const { pointer } = await restored.status({ signal })
  const newest = backup === undefined ? report.snapshotTs : Date.parse(backup.sidecar.ts)
  const live = await livePointer(options, pointer)
  const compareTo = live === undefined ? undefined : options.live
  const sample = await sampleChecks(restored, compareTo, { ...options, at: newest })
  const ageMs = Math.max(0, now() - newest)
  const rpoMs = isAllOf(live, backup) ? 0 : ageMs
  return {
    dataset: report.dataset,
    snapshot: printCid(report.snapshot),
    totalCount: report.totalCount,
    checks: [
      ...(backup === undefined ? [] : sidecarChecks(backup, report, pointer)),
      ...sample.checks,
      ...limitChecks('recovery time', rtoMs, options.maxRtoMs),
      ...limitChecks('recovery point', rpoMs, options.maxRpoMs),
    ],
    sampled: sample.sampled,
    compared: sample.compared,
    times: {
      openMs: Math.round(openMs),
      restoreMs: Math.round(rtoMs - openMs),
      verifyMs: Math.round(performance.now() - began),
    },
    rtoMs: Math.round(rtoMs),
    ageMs,
    rpoMs,
  }
}

function sidecarChecks(
  { sidecar }: Backup,
  report: RestoredCar,
  pointer: CommitRecord,
): DrillCheck[] {
  const same = (name: string, expected: unknown, actual: unknown): DrillCheck => ({
    name,
    ok: expected === actual,
    message:
      expected === actual
        ? String(actual)
        : `${String(actual)}, the sidecar says ${String(expected)}`,
  })
  return [
    same('snapshot', sidecar.snapshot_cid, printCid(report.snapshot)),
    same('entities', sidecar.total_count, report.totalCount),
    same('recent entries', sidecar.recent_count, report.recentCount),
    same('next position', sidecar.next, pointer.next),
  ]
}

function limitChecks(name: string, ms: number, limit: number | undefined): DrillCheck[] {
  if (limit === undefined) return []
  const ok = ms <= limit
  return [{ name, ok, message: `${Math.round(ms)} ms, ${ok ? 'within' : 'over'} ${limit} ms` }]
}

/** The pointer of the live dataset, if it answers and is the one that the backup is of. */
async function livePointer(
  { live, signal }: DrillOptions,
  restored: CommitRecord,
): Promise<CommitRecord | undefined> {
  if (live === undefined) return undefined
  const pointer = (await ifItAnswers(() => live.status({ signal }), signal))?.pointer
  return pointer?.identity === restored.identity ? pointer : undefined
}

/** Whether the backup holds all that the live dataset has. */
function isAllOf(live: CommitRecord | undefined, backup: Backup | undefined): boolean {
  if (live === undefined || backup === undefined) return false
  const { next, generation } = backup.sidecar
  return live.next === next && live.generation.number === generation
}

async function sizeOf(sources: readonly string[]): Promise<number> {
  const sizes = sources.map((source) =>
    stat(source).then(
      ({ size }) => size,
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** What drills left that were killed. */
async function removeStale(scratch: string, now: number): Promise<void> {
  for (const name of (await readdir(scratch)).filter((one) => one.startsWith(PREFIX))) {
    const path = join(scratch, name)
    const made = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => now,
    )
    if (now - made > STALE_MS) await rm(path, { recursive: true, force: true })
  }
}

/**
 * Looking at a dataset, its store, its backups and what is remembered of them. Changes nothing. Each part
 * is looked at by itself: what fails is told as that, and keeps no other part from being seen.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readBackups } from '../backup/folder.ts'
import { REPORT_NAME } from '../backup/drill-report.ts'
import type { Cairn } from '../cairn.ts'
import type { DatasetStatus } from '../engine/status.ts'
import { CairnError, throwIfAborted, toCairnError } from '../errors.ts'
import { ifAbsent } from '../util/system-error.ts'
import { readAutomation } from './automation-facts.ts'
import { withinDeadline, type Deadline } from './deadline.ts'
import { folderBytes, freePercentAt } from './disk.ts'
import type {
  DatasetFacts,
  DrillFacts,
  Looked,
  Observation,
  Space,
  Trouble,
} from './observation.ts'
import { lookOffsite, type LookOffsite } from './offsite.ts'
import { readProof } from './proof.ts'

export interface Place extends Deadline {
  readonly cairn: Cairn
  readonly dataset: string
  readonly dataDir: string
  readonly backupsDir: string
  readonly now: () => number
  /** The place of copies; none unless given. */
  readonly offsite?: string | null | undefined
  readonly lookOffsite?: LookOffsite | undefined
}

export async function observe(place: Place): Promise<Observation> {
  const { dataset, dataDir, backupsDir, now, signal } = place
  const at = now()
  const status = await look(place, 'The store', (within) => readStatus(place, within))
  throwIfAborted(signal)
  const facts = 'value' in status ? factsOf(status.value) : undefined
  const inBackups = <T>(read: () => Promise<T>): Promise<Looked<T>> =>
    look(place, `The folder ${backupsDir}`, read)
  const inData = <T>(read: () => Promise<T>): Promise<Looked<T>> =>
    look(place, `The folder ${dataDir}`, read)
  const owner = { dataset, identity: facts?.identity ?? '' }
  const seen = {
    dataset,
    at,
    backupsDir,
    status: facts === undefined ? (status as { trouble: Trouble }) : { value: facts },
    backups: await inBackups(() => readBackups(backupsDir)),
    offsite: await readCopies(place),
    backupsBytes: await inBackups(() => folderBytes(backupsDir)),
    space: await inBackups(() => spaces(status, backupsDir)),
    drill: await inBackups(() => readDrillIn(backupsDir)),
    proof: await inData(() => readProof(join(dataDir, 'ledger'), owner)),
    automation: await inData(() => readAutomation(dataDir, dataset)),
  }
  // What was cut off was not seen: it must not pass for trouble.
  throwIfAborted(signal)
  return seen
}

async function readCopies(place: Place): Promise<Observation['offsite']> {
  const { offsite: address, lookOffsite: read = lookOffsite } = place
  if (address === undefined || address === null) return undefined
  return look(place, 'The offsite place', (within) => read(address, within))
}

/** Where not even the store opens. */
export function observedTrouble(
  { dataset, backupsDir, now }: Pick<Place, 'dataset' | 'backupsDir' | 'now'>,
  error: unknown,
): Observation {
  const nothing = { trouble: troubleOf(error) }
  return {
    dataset,
    at: now(),
    backupsDir,
    status: nothing,
    backups: nothing,
    backupsBytes: nothing,
    space: nothing,
    drill: nothing,
    proof: nothing,
    automation: nothing,
  }
}

async function look<T>(
  deadline: Deadline,
  what: string,
  read: (signal: AbortSignal) => Promise<T>,
): Promise<Looked<T>> {
  try {
    return { value: await withinDeadline(deadline, what, read) }
  } catch (error) {
    return { trouble: troubleOf(error) }
  }
}

function troubleOf(error: unknown): Trouble {
  const { code, message, hint } = toCairnError(error)
  return { code, message, hint }
}

/** The status, and that the newest state can be read, which a status does not need. */
async function readStatus(
  { cairn, dataset: name }: Place,
  signal: AbortSignal,
): Promise<DatasetStatus> {
  const dataset = await cairn.dataset(name)
  const status = await dataset.status({ signal })
  await dataset.list({ limit: 1, signal })
  return status
}

export function factsOf({ pointer, location, store }: DatasetStatus): DatasetFacts {
  return {
    identity: pointer.identity,
    generation: pointer.generation.number,
    next: pointer.next,
    commitTs: pointer.ts,
    chainLimit: pointer.settings.chain_limit,
    recentCount: pointer.recent_count,
    snapshotSeq: pointer.snapshot_seq,
    snapshotTs: Date.parse(pointer.snapshot_ts),
    location,
    synced: store.synced,
    notes: store.notes,
  }
}

async function spaces(status: Looked<DatasetStatus>, backupsDir: string): Promise<Space[]> {
  const found = 'value' in status ? await storePercent(status.value) : undefined
  const backups = await freePercentAt(backupsDir)
  return [
    ...(found === undefined ? [] : [{ where: 'the store', freePercent: found }]),
    ...(backups === undefined
      ? []
      : [{ where: `the CARs in ${backupsDir}`, freePercent: backups }]),
  ]
}

/** Of the disk of an embedded store; of a node what it says of its own. */
async function storePercent({ store }: DatasetStatus): Promise<number | undefined> {
  const { details, sizeBytes, freeBytes } = store
  const path = details['path']
  if (typeof path === 'string') return freePercentAt(path)
  if (sizeBytes === undefined || freeBytes === undefined) return undefined
  return freeBytes + sizeBytes > 0 ? (freeBytes / (freeBytes + sizeBytes)) * 100 : undefined
}

export async function readDrillIn(backupsDir: string): Promise<DrillFacts | undefined> {
  const path = join(backupsDir, REPORT_NAME)
  const text = await readFile(path, 'utf8').catch(ifAbsent)
  if (text === undefined) return undefined
  const report = parseReport(text, path)
  const { dataset, status, finished_at, rto_ms, snapshot, sources } = report
  const finishedAt = typeof finished_at === 'string' ? Date.parse(finished_at) : Number.NaN
  if (typeof dataset !== 'string' || Number.isNaN(finishedAt)) throw notAReport(path)
  return {
    dataset,
    passed: status === 'passed',
    finishedAt,
    rtoMs: typeof rto_ms === 'number' ? rto_ms : undefined,
    snapshot: typeof snapshot === 'string' ? snapshot : undefined,
    sources: Array.isArray(sources) ? sources.map(String) : [],
  }
}

function parseReport(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Told below.
  }
  throw notAReport(path)
}

function notAReport(path: string): CairnError {
  const hint = 'Run `cairn drill`, which writes a new one.'
  return new CairnError('internal', `The drill report ${path} cannot be read.`, { hint, path })
}

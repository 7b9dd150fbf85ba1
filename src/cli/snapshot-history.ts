/**
 * What `snapshots --graph` shows: each kept snapshot with the one it was built on, what it changed, the CARs
 * that hold it, and the restores and rollbacks since.
 */
import { basename } from 'node:path'
import { readBackups } from '../backup/folder.ts'
import type { Dataset } from '../engine/dataset.ts'
import {
  changeKind,
  snapshotRecord,
  type ChangeKind,
  type SnapshotRecord,
} from '../engine/records.ts'
import { readHeader } from '../engine/state.ts'
import { isCairnError } from '../errors.ts'
import { bytesEqual, printCid, type CidBytes } from '../model/cid.ts'
import { decodeCommit, type Commit } from '../model/commit.ts'
import { printOrNull } from '../model/entry-record.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import { formatTime } from '../model/time.ts'
import type { Backend } from '../store/backend.ts'

export type Changes = Readonly<Record<ChangeKind, number>>

/** A restore, a rollback or a fail-over: from here on another state was current. */
export interface GenerationMark {
  readonly generation: number
  readonly commit: number
  readonly ts: string | number
  readonly reason: string
  /** Of the snapshot that became current. */
  readonly seq: number
}

export interface HistoryNode extends SnapshotRecord {
  readonly current: boolean
  /** The CID of the snapshot that it was built on, which need not be kept. */
  readonly prev: string | null
  /** Against `prev`; null where that is not kept, or too much to count. */
  readonly changes: Changes | null
  /** Names of CARs in the folder of backups that hold it. */
  readonly cars: readonly string[]
  /** What came between it and the next newer one, newest first. */
  readonly followed_by: readonly GenerationMark[]
}

export interface HistorySource {
  readonly dataset: Dataset
  readonly backend: Backend
  readonly backupsDir: string
  readonly limit: number
  readonly signal: AbortSignal
}

/** Counting costs what has changed: so much for one snapshot, so much and so many for all. */
const MOST_CHANGES = 10_000
const MOST_CHANGES_IN_ALL = 100_000
const MOST_COUNTED = 100
const MOST_MARKS = 50

export async function readHistory(source: HistorySource): Promise<HistoryNode[]> {
  const { dataset, backend, limit, signal } = source
  const { commit } = await dataset.pointer({ signal })
  const kept: KeptSnapshot[] = []
  const names = new Set<string>()
  for await (const one of dataset.snapshots({ signal })) {
    if (kept.length < limit) kept.push(one)
    names.add(printCid(one.cid))
  }
  const cars = await carsBySnapshot(source)
  const marks = await generationMarks(backend, commit, signal)
  const counter = new ChangeCounter(dataset, signal)
  const nodes: HistoryNode[] = []
  for (const one of kept) {
    const record = snapshotRecord(one)
    const prev = await prevOf(backend, commit, one.cid, signal)
    const isCounted = prev !== null && names.has(prev)
    nodes.push({
      ...record,
      current: bytesEqual(one.cid, commit.snapshot),
      prev,
      changes: isCounted ? await counter.count(prev, record.cid) : null,
      cars: cars.get(record.cid) ?? [],
      followed_by: takeSince(marks, one.ts),
    })
  }
  return nodes
}

async function prevOf(
  backend: Backend,
  commit: Commit,
  snapshot: CidBytes,
  signal: AbortSignal,
): Promise<string | null> {
  const { prev } = await readHeader({ backend }, { ...commit, snapshot }, signal)
  return printOrNull(prev)
}

/** Those that are not earlier than `ts`, taken away from the newest ones. */
function takeSince(marks: { readonly at: number; readonly mark: GenerationMark }[], ts: number) {
  const older = marks.findIndex(({ at }) => at < ts)
  return marks.splice(0, older < 0 ? marks.length : older).map(({ mark }) => mark)
}

/** The generation of commits never goes back, so halving finds where each begins. */
async function generationMarks(
  backend: Backend,
  now: Commit,
  signal: AbortSignal,
): Promise<{ at: number; mark: GenerationMark }[]> {
  const read = async (number: number): Promise<Commit | undefined> => {
    const bytes = await backend.getCommit(now.dataset, number, { signal })
    return bytes && decodeCommit(bytes).commit
  }
  const marks: { at: number; mark: GenerationMark }[] = []
  for (let newest: Commit | undefined = now; newest !== undefined && marks.length < MOST_MARKS;) {
    let first: Commit = newest
    for (let [low, high] = [now.oldest, newest.number]; low < high;) {
      const middle = Math.floor((low + high) / 2)
      const commit = await read(middle)
      if (commit?.generation.tag === newest.generation.tag) {
        first = commit
        high = middle
      } else low = middle + 1
    }
    if (first.number <= now.oldest) break
    const { generation, number, ts, reason, snapshotSeq } = first
    const mark = { generation: generation.number, commit: number, ts: formatTime(ts), reason }
    marks.push({ at: ts, mark: { ...mark, seq: snapshotSeq } })
    newest = await read(number - 1)
  }
  return marks
}

async function carsBySnapshot({ backupsDir }: HistorySource): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  // A folder that cannot be read is not at hand.
  const folder = await readBackups(backupsDir).catch((error: unknown) => {
    if (isCairnError(error)) return undefined
    throw error
  })
  for (const { sidecar, paths } of folder?.backups ?? []) {
    const names = found.get(sidecar.snapshot_cid) ?? []
    found.set(sidecar.snapshot_cid, [...names, basename(paths.car)])
  }
  return found
}

class ChangeCounter {
  readonly #dataset: Dataset
  readonly #signal: AbortSignal
  #changes = 0
  #counted = 0

  constructor(dataset: Dataset, signal: AbortSignal) {
    this.#dataset = dataset
    this.#signal = signal
  }

  async count(before: string, after: string): Promise<Changes | null> {
    if (this.#counted >= MOST_COUNTED) return null
    this.#counted += 1
    const counts = { added: 0, changed: 0, removed: 0 }
    let seen = 0
    for await (const change of this.#dataset.diff(before, after, { signal: this.#signal })) {
      seen += 1
      this.#changes += 1
      if (seen > MOST_CHANGES || this.#changes > MOST_CHANGES_IN_ALL) return null
      const kind = changeKind(change)
      if (kind !== undefined) counts[kind] += 1
    }
    return counts
  }
}

/** What a service says of a sync under way. It comes from outside: of its texts none is shown, and all else is checked. */
import type { SyncReport } from '../engine/replica/sync.ts'
import { CairnError } from '../errors.ts'

const COUNTS = [
  'from',
  'commit',
  'generation',
  'next',
  'seq',
  'total_count',
  'snapshots',
  'blocks',
  'bytes',
  'found',
] as const

type ReportRecord = Pick<SyncReport, 'status'> & Readonly<Record<(typeof COUNTS)[number], number>>

export interface SyncState {
  readonly sync: string
  readonly wants: 'newest' | 'blocks' | 'nothing'
  readonly step: number
  readonly cids: readonly string[]
  readonly log_from: number | null
  readonly report: ReportRecord | null
  /** How it ended, if not with a report; a service may leave it out. */
  readonly error?: SyncFailure | null | undefined
}

export interface SyncFailure {
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
}

export function checkedState(said: unknown): SyncState {
  if (isState(said)) return said
  throw new CairnError('backend_refused', 'The service told of the sync in words of its own.', {
    hint: 'See whether it is a Cairn service that answers at this address.',
  })
}

function isState(said: unknown): said is SyncState {
  const { sync, wants, step, cids, log_from: logFrom, report, error } = mapOf(said)
  return (
    // It becomes a part of an address.
    /^[0-9a-f]{32}$/.test(String(sync)) &&
    (wants === 'newest' || wants === 'blocks' || wants === 'nothing') &&
    isCount(step) &&
    Array.isArray(cids) &&
    cids.every((cid) => typeof cid === 'string') &&
    (wants !== 'blocks' || cids.length > 0) &&
    (logFrom === null || isCount(logFrom)) &&
    (report === null || isReport(mapOf(report))) &&
    (error === undefined || error === null || isFailure(mapOf(error)))
  )
}

const isReport = (report: Said): boolean =>
  (report['status'] === 'synced' || report['status'] === 'already_synced') &&
  COUNTS.every((name) => isCount(report[name]))

const isFailure = ({ code, message, hint }: Said): boolean =>
  typeof code === 'string' &&
  typeof message === 'string' &&
  (hint === undefined || typeof hint === 'string')

type Said = Readonly<Record<string, unknown>>

const mapOf = (value: unknown): Said =>
  typeof value === 'object' && value !== null ? { ...value } : {}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0

/** The report, with what is known here of the sync. */
export function reportOf(
  record: ReportRecord,
  known: Pick<SyncReport, 'dataset' | 'source' | 'requests'>,
): SyncReport {
  const { status, from, commit, generation, next, seq, snapshots, blocks, bytes, found } = record
  const counts = { from, commit, generation, next, seq, snapshots, blocks, bytes, found }
  return { status, ...counts, totalCount: record.total_count, ...known }
}

/** What jobs do and how they ended, in words. Pure. */
import type { Job, JobKind, JobProgress } from '../../../../src/client/index.ts'
import {
  bytesText,
  countText,
  durationText,
  pluralText,
  roughText,
  timeOf,
} from '../../ui/format.ts'

export const JOB_NAMES: Readonly<Record<JobKind, string>> = {
  build: 'Build a snapshot',
  export: 'Export a CAR',
  restore: 'Restore',
  prune: 'Prune snapshots',
  'prune-cars': 'Prune CARs',
  verify: 'Verify the store',
  drill: 'Drill',
}

export const hasEnded = ({ state }: Job): boolean => state !== 'queued' && state !== 'running'

const STEPS: Readonly<Record<string, string>> = {
  merge: 'Merging what is new',
  prove: 'Reading back what was written',
  export: 'Writing blocks',
  'read back': 'Reading back what was written',
  scan: 'Reading the CAR',
  walk: 'Following links',
  hash: 'Proving blocks',
  mark: 'Looking for what is needed',
  'look for holds': 'Looking for what is needed',
  free: 'Freeing blocks',
  verify: 'Proving parts',
  'verify tree': 'Proving chunks',
  'list the log': 'Reading the log',
  reach: 'Looking for what nothing needs',
}

export const stepText = (step: string): string => STEPS[step] ?? step

/** How amounts of a step are told: some steps count bytes. */
export function amountText(kind: JobKind, step: string): (value: number) => string {
  const isBytes = step === 'scan' || (kind === 'export' && step === 'read back')
  return isBytes ? bytesText : countText
}

/** How fast a step goes and how long it takes yet, from where it was first seen. */
export function paceText(
  first: JobProgress | undefined,
  now: JobProgress,
  amount: (value: number) => string,
): string {
  if (first?.step !== now.step) return ''
  const seconds = (timeOf(now.at) - timeOf(first.at)) / 1000
  const rate = (now.done - first.done) / seconds
  if (!(seconds >= 0.5) || !(rate > 0)) return ''
  const told = `${amount(rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate))} a second`
  if (now.total === null || now.total <= now.done) return told
  return `${told}, about ${durationText(((now.total - now.done) / rate) * 1000)} left`
}

type Result = Readonly<Record<string, unknown>>

/** How a job ended, with its figures. */
export function outcomeText(job: Job): string {
  const { kind, state, result } = job
  if (state === 'cancelled') return 'Stopped before its end.'
  if (state === 'failed') return job.error?.message ?? 'It failed.'
  return result === null ? 'Done.' : RESULTS[kind](result)
}

const numberIn = (result: Result, name: string): number => Number(result[name] ?? 0)

const RESULTS: Readonly<Record<JobKind, (result: Result) => string>> = {
  build: builtText,
  export: exportedText,
  restore: (result) =>
    result['status'] === 'planned'
      ? 'It can be restored; nothing was changed.'
      : `Snapshot ${numberIn(result, 'seq')} is back, with ${pluralText(numberIn(result, 'total_count'), 'entity', 'entities')}.`,
  prune: (result) => prunedText(result, 'snapshot'),
  'prune-cars': (result) => prunedText(result, 'CAR'),
  verify: verifiedText,
  drill: drilledText,
}

function builtText(result: Result): string {
  if (result['status'] !== 'built') return 'Nothing was new: the newest snapshot has all of it.'
  const [written, all] = [numberIn(result, 'chunks_written'), numberIn(result, 'chunk_count')]
  return `Snapshot ${numberIn(result, 'seq')} holds ${pluralText(numberIn(result, 'live'), 'entity', 'entities')}; ${countText(written)} of ${pluralText(all, 'chunk')} written, ${bytesText(numberIn(result, 'bytes_written'))}.`
}

function exportedText(result: Result): string {
  const { filename } = result
  const file = typeof filename === 'string' ? filename : 'The CAR'
  const size = bytesText(numberIn(result, 'size_bytes'))
  if (result['status'] !== 'exported') return `Nothing was new: ${file} has all of it, ${size}.`
  return `${file}: ${size}, ${pluralText(numberIn(result, 'blocks'), 'block')}, read back and proved.`
}

function prunedText(result: Result, what: string): string {
  const [kept, gone] = [numberIn(result, 'kept'), numberIn(result, 'forgotten')]
  const freed = result['freed_bytes']
  const isPlanned = result['status'] === 'planned'
  // How much that frees is not known before, of snapshots.
  const space = typeof freed === 'number' && freed > 0 ? `, ${bytesText(freed)}` : ''
  if (gone === 0) return `All ${pluralText(kept, what)} are to be kept: nothing goes.`
  const verb = isPlanned ? 'would go' : gone === 1 ? 'is gone' : 'are gone'
  return `${pluralText(gone, what)} ${verb}${space}; ${countText(kept)} ${kept === 1 ? 'stays' : 'stay'}.`
}

function verifiedText(result: Result): string {
  return `No damage: ${pluralText(numberIn(result, 'blocks'), 'block')} proved, ${bytesText(numberIn(result, 'bytes'))}.`
}

function drilledText(result: Result): string {
  const took = numberIn(result, 'rto_ms')
  const loss = result['rpo_ms']
  const lost =
    typeof loss !== 'number'
      ? ''
      : loss === 0
        ? ', losing nothing'
        : `, losing ${durationText(loss)} of changes`
  return `Restored ${pluralText(numberIn(result, 'total_count'), 'entity', 'entities')} in ${durationText(took)}${lost}; ${countText(numberIn(result, 'sampled'))} looked at one by one.`
}

/** What to try after a failure. */
export function adviceText({ kind, error, result }: Job): string | undefined {
  if (error === null) return undefined
  if (kind !== 'drill') return error.hint
  const [tried] = Array.isArray(result?.['sources']) ? (result['sources'] as unknown[]) : []
  if (tried === undefined) return error.hint
  return `Export a CAR anew, also if nothing is new, and start the drill again. ${baseName(tried)} was tried.`
}

export const baseName = (path: unknown): string => String(path).replace(/^.*\//, '')

export function tookText({ started_at, finished_at }: Job): string {
  if (started_at === null || finished_at === null) return ''
  return durationText(timeOf(finished_at) - timeOf(started_at))
}

const REASONS: Readonly<Record<string, string>> = {
  manual: 'asked for',
  schedule: 'by schedule',
  threshold: 'the recent chain was long',
  'the page': 'asked for here',
  init: 'the dataset was made',
  shutdown: 'the service ended',
  first: 'the first one',
  interval: 'some time had passed',
  'max lag': 'the oldest entry waited long',
  emergency: 'the recent chain was very long',
  '': 'not said',
}

export function reasonText(reason: string): string {
  const [, seconds, entries] = /^save (\d+):(\d+)$/.exec(reason) ?? []
  if (seconds !== undefined)
    return `${roughText(Number(seconds) * 1000)} with ${pluralText(Number(entries), 'new entry', 'new entries')}`
  const [what, who] = reason.split(':')
  if (what === 'user_disconnect' && who !== undefined) return `${who} has left`
  return REASONS[reason] ?? reason
}

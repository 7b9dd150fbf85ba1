/** Copies of CARs in a bucket: looking at them, and whether they would do if all else were lost. */
import { exportedAt, type Backup } from '../backup/folder.ts'
import { CairnError, toCairnError } from '../errors.ts'
import { readOffsite, type SidecarMemory } from '../offsite/listing.ts'
import { parseOffsite, printPlace, withPlace } from '../offsite/place.ts'
import type { HealthLimits } from './limits.ts'
import type { DatasetFacts, OffsiteFacts } from './observation.ts'
import type { Finding } from './report.ts'
import { isComplete, restorable } from './rules-backups.ts'
import { ageText } from './words.ts'

export type LookOffsite = (address: string, signal: AbortSignal) => Promise<OffsiteFacts>

/** A look says what is so now, and comes again: a request that fails is not made again for long. */
const RETRY_MS = 5_000
/** Each look is a request that is paid for. */
const REMEMBERED_MS = 5 * 60_000
/** Many datasets share a place: where it does not answer, one of them has to wait for that, not each. */
const TROUBLE_MS = 30_000

const sidecars: SidecarMemory = new Map()

export const lookOffsite: LookOffsite = (address, signal) =>
  withPlace(parseOffsite(address), { retryMs: RETRY_MS }, async ({ bucket, location }) => {
    const { backups } = await readOffsite(bucket, { signal, memory: sidecars })
    return { place: location, backups }
  })

interface Seen {
  readonly address: string
  readonly at: number
  readonly result: OffsiteFacts | CairnError
}

/** For who looks again and again: what was seen holds for a while, and trouble for a short one. */
export function rememberedOffsite(now: () => number, read: LookOffsite = lookOffsite): LookOffsite {
  let last: Seen | undefined
  const holds = ({ address: of, at, result }: Seen, address: string): boolean => {
    const age = now() - at
    const most = result instanceof CairnError ? TROUBLE_MS : REMEMBERED_MS
    return of === address && age >= 0 && age < most
  }
  return async (address, signal) => {
    if (last === undefined || !holds(last, address)) {
      const result = await read(address, signal).catch((error: unknown) => told(error, address))
      last = { address, at: now(), result }
    }
    if (last.result instanceof CairnError) throw last.result
    return last.result
  }
}

/** Who looks gives up after a while, which says nothing to the next one. */
function told(error: unknown, address: string): CairnError {
  const { code } = toCairnError(error)
  if (code !== 'aborted') return toCairnError(error)
  return new CairnError('backend_timeout', `${printPlace(address)} did not answer in time.`, {
    hint: 'Is the server busy, or the way to it slow?',
    cause: error,
  })
}

export interface OffsiteState {
  readonly status: 'ok' | 'stale' | 'none'
  /** That could be restored from the bucket alone. */
  readonly copies: number
  readonly newest: Backup | undefined
  readonly newestAt: number | undefined
  /** The newest has every entry. */
  readonly complete: boolean
}

export function offsiteState(
  { backups }: Pick<OffsiteFacts, 'backups'>,
  facts: DatasetFacts,
  dataset: string,
  { at, maxAgeMs }: { readonly at: number; readonly maxAgeMs: number },
): OffsiteState {
  const own = restorable(backups, dataset).filter(
    ({ sidecar }) => sidecar.identity === facts.identity,
  )
  const complete = own.find((one) => isComplete(one, facts))
  const newest =
    complete ?? own.toSorted((a, b) => exportedAt(b.sidecar) - exportedAt(a.sidecar))[0]
  const newestAt = newest === undefined ? undefined : exportedAt(newest.sidecar)
  const isFresh = complete !== undefined || (newestAt !== undefined && at - newestAt <= maxAgeMs)
  return {
    status: newest === undefined ? 'none' : isFresh ? 'ok' : 'stale',
    copies: own.length,
    newest,
    newestAt,
    complete: complete !== undefined,
  }
}

export function offsiteText(
  { status, newest, newestAt, complete }: OffsiteState,
  { place, dataset, at }: { readonly place: string; readonly dataset: string; readonly at: number },
): string {
  if (status === 'none') return `No copy of "${dataset}" in ${place} could be restored`
  const name = newest?.paths.car ?? ''
  if (complete) return `the copy ${name} in ${place} has all entries`
  return `The newest copy in ${place}, ${name}, is ${ageText(at - (newestAt ?? 0))} old and lacks the newest entries`
}

export function offsiteRule(
  seen: OffsiteFacts,
  facts: DatasetFacts,
  { dataset, at }: { readonly dataset: string; readonly at: number },
  { maxOffsiteAgeMs }: HealthLimits,
): Finding[] {
  if (facts.next === 0) {
    const message = 'Nothing was written yet that a copy could hold'
    return [{ check: 'offsite', level: 'ok', message }]
  }
  const maxAgeMs = maxOffsiteAgeMs
  const state = offsiteState(seen, facts, dataset, { at, maxAgeMs })
  return [
    {
      check: 'offsite',
      level: state.status === 'ok' ? 'ok' : 'critical',
      message: offsiteText(state, { place: seen.place, dataset, at }),
      hint: 'cairn offsite push',
      ...(state.newestAt === undefined || state.complete
        ? {}
        : { value: at - state.newestAt, threshold: maxAgeMs }),
    },
  ]
}

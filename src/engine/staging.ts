import type { Staging } from '../store/backend.ts'
import type { Context } from './context.ts'

interface Ended {
  readonly dataset: string
  readonly outcome: 'committed' | 'dropped'
  /** Under which a failure is logged. */
  readonly event?: string
}

/** What was committed stays so, and what failed says why: an end that fails is the sweep's business. */
export async function endStaging(
  { log }: Pick<Context, 'log'>,
  staging: Pick<Staging, 'end'>,
  { dataset, outcome, event = 'staging.end_failed' }: Ended,
): Promise<void> {
  await staging.end(outcome).catch((error: unknown) => {
    log.error(event, { dataset, outcome, error: String(error) })
  })
}

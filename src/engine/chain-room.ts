/** Room in the recent chain for an append that does not fit under its limit. */
import { CairnError, isCairnError } from '../errors.ts'
import { buildSnapshot } from './build.ts'
import type { Context } from './context.ts'
import type { Pointer } from './pointer.ts'

export async function refuseForRoom(pointer: Pointer): Promise<never> {
  const { recentCount, settings } = (await pointer.current()).commit
  throw new CairnError(
    'chain_full',
    `The recent chain is full: ${recentCount} of ${settings.chainLimit} entries.`,
    {
      hint: 'Build a snapshot (`cairn build-snapshot`), then try again.',
    },
  )
}

/**
 * A build that was under way has made room already. One is dropped when another process has built first,
 * which has made room all the same.
 */
export function buildForRoom(context: Context, pointer: Pointer, entries: number): Promise<void> {
  return pointer.builds.run(async () => {
    const { recentCount, settings } = (await pointer.current()).commit
    if (recentCount + entries <= settings.chainLimit) return
    try {
      await buildSnapshot(context, pointer, { reason: 'chain limit' })
    } catch (error) {
      if (!isCairnError(error, 'conflict')) throw error
    }
  })
}

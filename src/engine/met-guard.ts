/**
 * A guard (engine/guard.ts) as everybody else meets it: it keeps them out until it is void. Who meets it
 * judges that by a clock of its own, which may be far from the owner's.
 */
import { CairnError } from '../errors.ts'
import type { Commit, Exclusive } from '../model/commit.ts'

/** How long a guard holds that is not renewed. */
export const GUARD_LASTS_MS = 120_000

export class MetGuard {
  readonly #now: () => number
  /** The guard of another writer that was met last, and when by this process's clock. */
  #met: { readonly owner: string; readonly until: number; readonly at: number } | undefined

  constructor(now: () => number) {
    this.#now = now
  }

  /** Refuses who moves past another one's guard; `own` is the token of the guard that it has. */
  check({ dataset, exclusive }: Commit, own: string | undefined): void {
    if (exclusive === null || exclusive.owner === own) return
    const now = this.#now()
    const voidAt = this.#voidAt(exclusive, now)
    if (voidAt <= now) return
    throw new CairnError('busy', `The dataset "${dataset}" is reserved: ${exclusive.reason}.`, {
      hint: `Try again when it is done, or after ${new Date(voidAt).toISOString()} if it died.`,
    })
  }

  /** By `until`; or, as the owner's clock may be far ahead, once it was met unchanged for so long. */
  #voidAt({ owner, until }: Exclusive, now: number): number {
    const met = this.#met
    const known = met?.owner === owner && met.until === until && met.at <= now
    const { at } = known ? met : (this.#met = { owner, until, at: now })
    return Math.min(until, at + GUARD_LASTS_MS)
  }
}

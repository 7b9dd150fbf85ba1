/**
 * What a dataset is among its copies: the primary, a replica of it, or one that was replaced. And which of two
 * that both believe to be the primary is it. Pure.
 */
import { CairnError } from '../../errors.ts'
import type { Commit } from '../../model/commit.ts'

type Standing = Pick<
  Commit,
  'dataset' | 'identity' | 'generation' | 'replica' | 'fenced' | 'failovers'
>

export function isWritable({ replica, fenced }: Standing): boolean {
  return replica === undefined && fenced === undefined
}

/** A replica and a dataset that was replaced take no entries: `replica`, `fenced`. */
export function checkWritable({ dataset, replica, fenced }: Standing): void {
  if (fenced !== undefined) {
    throw new CairnError(
      'fenced',
      `The dataset "${dataset}" was replaced: generation ${fenced.by.number} is current elsewhere.`,
      {
        hint: 'Write to the new primary. `cairn rejoin NEW_PRIMARY` hands over what only this store has, and makes it a replica.',
        dataset,
        generation: fenced.by.number,
      },
    )
  }
  if (replica === undefined) return
  // Not of what: over HTTP nobody is told where files lie.
  throw new CairnError('replica', `The dataset "${dataset}" is a read replica.`, {
    hint: 'Write to the primary, which `cairn status` names. If that is lost, `cairn promote` puts this replica in its place.',
    dataset,
  })
}

/**
 * Below 0, 0 or above 0, as one is before the other in the line of generations. Fail-overs count first: a
 * primary that was cut off may have rolled back as often as it likes meanwhile.
 */
export function compareStanding(one: Standing, other: Standing): number {
  const promoted = (one.failovers?.count ?? 0) - (other.failovers?.count ?? 0)
  return promoted === 0 ? one.generation.number - other.generation.number : promoted
}

/** Whether a copy has taken the place of a dataset that believes to be the primary. */
export function supersedes(copy: Standing, dataset: Standing): boolean {
  if (copy.identity !== dataset.identity || copy.replica !== undefined) return false
  return copy.fenced === undefined && compareStanding(copy, dataset) > 0
}

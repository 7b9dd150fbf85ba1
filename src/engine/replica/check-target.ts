/** What may be copied onto what, and how the rest is refused. Pure. */
import { CairnError } from '../../errors.ts'
import type { Commit } from '../../model/commit.ts'
import { compareStanding, supersedes } from './standing.ts'

/**
 * What the target holds must be an earlier state of what the source holds; or a dataset that was made, as a service
 * makes one when it starts, and never written to.
 */
export function checkTarget(target: Commit, source: Commit, location: string, adopt = false): void {
  const { dataset } = target
  if (isUntouched(target) && target.identity !== source.identity) return
  if (target.identity !== source.identity) {
    throw new CairnError(
      'conflict',
      `The target holds another dataset under the name "${dataset}".`,
      {
        hint: 'Sync to another store, or remove that dataset first. Nothing was changed.',
        dataset,
      },
    )
  }
  const behind = compareStanding(source, target)
  if (supersedes(target, source) || behind < 0) throw replaced(dataset, location, target)
  if (target.replica === undefined && (!adopt || behind === 0)) {
    throw new CairnError('conflict', `The target is no replica: "${dataset}" is written there.`, {
      hint: 'What was the primary before becomes a replica with `cairn rejoin`. Nothing was changed.',
      dataset,
    })
  }
  if (behind > 0) return
  const forked = target.generation.tag !== source.generation.tag
  const isBehind = source.next >= target.next && source.nextSeq >= target.nextSeq
  if (!forked && isBehind && !isGoingBack(target, source, location)) return
  throw new CairnError(
    'conflict',
    forked
      ? `The target follows another generation ${target.generation.number} of "${dataset}" than the source.`
      : `The target is ahead of the source: it has "${dataset}" up to position ${target.next} and commit ${target.replica?.number ?? target.number}, the source up to ${source.next} and ${source.number}.`,
    {
      hint: 'Sync from the primary that the target followed so far. Nothing was changed.',
      dataset,
    },
  )
}

/** The source's log does not pass where the target's ends: one of them went another way in the same generation. */
export function forkedLog({ dataset, next }: Commit): CairnError {
  return new CairnError(
    'conflict',
    `The target has entries of "${dataset}" before position ${next} that the source has not.`,
    {
      hint: 'The source was put back to an older state: promote the target, or restore the source from it. Nothing was changed.',
      dataset,
    },
  )
}

const isUntouched = ({ next, nextSeq, generation, replica, fenced }: Commit): boolean =>
  next === 0 &&
  nextSeq === 1 &&
  generation.number === 1 &&
  replica === undefined &&
  fenced === undefined

/** Of two commits of one store that differ in neither entries nor snapshots the numbers tell. */
const isGoingBack = ({ replica }: Commit, source: Commit, location: string): boolean =>
  replica?.of === location && source.number < replica.number

function replaced(dataset: string, location: string, target: Commit): CairnError {
  const { number } = target.generation
  return new CairnError(
    'fenced',
    `The source ${location} was replaced: the target has generation ${number} of "${dataset}".`,
    {
      hint: 'Run `cairn rejoin NEW_PRIMARY` on the source. Nothing was changed.',
      dataset,
      generation: number,
    },
  )
}

export function noDataset(dataset: string, location: string): CairnError {
  return new CairnError(
    'dataset_not_found',
    `The source ${location} has no dataset "${dataset}".`,
    {
      hint: 'Name another with --dataset; `cairn datasets` lists those there are.',
      dataset,
    },
  )
}

export function toItself(dataset: string, location: string): CairnError {
  return new CairnError(
    'usage',
    `The source and the target of "${dataset}" are both ${location}.`,
    {
      hint: 'Name another store as the target.',
      dataset,
    },
  )
}

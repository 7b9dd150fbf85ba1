/** What a backup needs besides itself: the bases of deltas, and content. Pure. */
import type { CarContent } from '../model/checkpoint.ts'
import type { Backup } from './folder.ts'

const HOW_MUCH: Readonly<Record<CarContent, number>> = { index: 0, tips: 1, full: 2 }

/**
 * The backups that a delta stands on, nearest first; empty for what is no delta, undefined when one is
 * not among `backups`. What is no delta itself is taken first as a base, then what is newer.
 */
export function basesOf(backups: readonly Backup[], backup: Backup): Backup[] | undefined {
  const bases: Backup[] = []
  let last = backup
  while (last.sidecar.since !== null) {
    const base = baseOf(backups, last, [backup, ...bases])
    if (base === undefined) return undefined
    bases.push(base)
    last = base
  }
  return bases
}

function baseOf(
  backups: readonly Backup[],
  { sidecar }: Backup,
  taken: readonly Backup[],
): Backup | undefined {
  const fitting = backups.filter(
    (one) =>
      !taken.includes(one) &&
      one.sidecar.snapshot_cid === sidecar.since &&
      HOW_MUCH[one.sidecar.content] >= HOW_MUCH[sidecar.content],
  )
  return fitting.find((one) => one.sidecar.since === null) ?? fitting[0]
}

/** Whether it brings all content that a restore needs. */
export function hasContent({ sidecar }: Backup): boolean {
  return sidecar.content === 'full' || sidecar.tips === 'external'
}

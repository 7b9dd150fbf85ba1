/** Which copies are meant: one and what it stands on. */
import { basesOf, hasContent } from '../backup/bases.ts'
import { checkAllKnown, type Backup } from '../backup/folder.ts'
import { CairnError } from '../errors.ts'
import type { OffsiteListing } from './listing.ts'

export interface Wanted {
  /** Undefined: the only one that the bucket has copies of, or `fallback`. */
  readonly dataset: string | undefined
  readonly fallback: string
  /** `seq:7`, or the name of a copy; the newest unless given. */
  readonly which?: string | undefined
}

export interface Chosen {
  readonly copy: Backup
  /** Nearest first. */
  readonly bases: readonly Backup[]
  /** Newer ones that cannot be restored, for want of a base. */
  readonly passedOver: readonly Backup[]
}

export function chooseCopy(listing: OffsiteListing, wanted: Wanted, location: string): Chosen {
  const { which = 'newest' } = wanted
  if (which !== 'newest' && !which.startsWith('seq:')) return chooseNamed(listing, which, location)
  checkAllKnown(listing)
  const dataset = wanted.dataset ?? onlyDataset(listing, wanted.fallback)
  const own = listing.backups.filter((one) => one.sidecar.dataset === dataset && hasContent(one))
  const seq = which === 'newest' ? undefined : seqOf(which)
  const fitting = own.filter(({ sidecar }) => seq === undefined || sidecar.seq === seq)
  const [first] = fitting
  if (first === undefined) throw noCopy(listing, { dataset, which, location })
  const passedOver: Backup[] = []
  for (const copy of fitting) {
    const bases = basesOf(listing.backups, copy)
    if (bases !== undefined) return { copy, bases, passedOver }
    passedOver.push(copy)
  }
  throw baseMissing(first, location)
}

function chooseNamed(listing: OffsiteListing, name: string, location: string): Chosen {
  const copy = listing.backups.find(({ paths }) => paths.car === name)
  // Where its base is not, it may be in the store already.
  if (copy !== undefined)
    return { copy, bases: basesOf(listing.backups, copy) ?? [], passedOver: [] }
  const damaged = listing.damaged.find(({ path }) => path === name)
  if (damaged !== undefined) {
    if (damaged.unknown !== undefined) throw damaged.unknown
    throw new CairnError('invalid_car', `The copy ${name} is damaged: ${damaged.reason}`, {
      hint: '`cairn offsite list` shows the others.',
      path: name,
    })
  }
  const isUnfinished = listing.unfinished.includes(name)
  throw new CairnError(
    'not_found',
    isUnfinished
      ? `The copy ${name} in ${location} has no sidecar: it was never finished.`
      : `There is no copy "${name.slice(0, 100)}" in ${location}.`,
    {
      hint: isUnfinished
        ? 'Push it again. If its folder is lost, fetch the file by other means and restore that: a restore proves all of it.'
        : '`cairn offsite list` shows those there are.',
      path: name,
    },
  )
}

/** Where a bucket holds one dataset, nobody has to name it. */
function onlyDataset({ backups }: OffsiteListing, fallback: string): string {
  const names = new Set(backups.map(({ sidecar }) => sidecar.dataset))
  const [first] = names
  return names.size === 1 && first !== undefined ? first : fallback
}

function seqOf(which: string): number {
  const [, digits] = /^seq:(\d{1,15})$/.exec(which) ?? []
  if (digits !== undefined) return Number(digits)
  throw new CairnError('usage', `"${which.slice(0, 60)}" names no copy.`, {
    hint: 'Give newest, seq:N, or the name of a CAR.',
  })
}

function noCopy(
  { backups, unfinished, damaged }: OffsiteListing,
  {
    dataset,
    which,
    location,
  }: { readonly dataset: string; readonly which: string; readonly location: string },
): CairnError {
  const names = [...new Set(backups.map(({ sidecar }) => sidecar.dataset))]
  const what = which === 'newest' ? 'no copy' : `no copy of ${which}`
  const bad = unfinished.length + damaged.length
  const hint =
    names.length > 0 && !names.includes(dataset)
      ? `There are copies of ${names.slice(0, 10).join(', ')}: name one with -d.`
      : bad > 0
        ? `${bad} are unfinished or damaged: see \`cairn offsite list\`.`
        : 'Is the address right? `cairn offsite push` makes copies.'
  return new CairnError(
    'not_found',
    `There is ${what} of "${dataset}" in ${location} that could be restored.`,
    { hint, location },
  )
}

function baseMissing({ paths, sidecar }: Backup, location: string): CairnError {
  return new CairnError(
    'base_missing',
    `The copy ${paths.car} is a delta, and its base is not in ${location}.`,
    {
      hint: 'Push the folder that has it, or take an older copy.',
      path: paths.car,
      since: sidecar.since,
    },
  )
}

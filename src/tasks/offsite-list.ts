/** What copies there are in a bucket, for people and programs. */
import type { Backup } from '../backup/folder.ts'
import { parseCarName } from '../backup/name.ts'
import { readOffsite } from '../offsite/listing.ts'
import { parseOffsite, withPlace, type Place } from '../offsite/place.ts'
import type { TaskContext } from './context.ts'

export interface ListOffsiteOptions {
  readonly address: string
  /** Undefined: of all of them. */
  readonly dataset: string | undefined
}

/** The fields of `cairn backups`, and where it is. */
export interface CopyRecord {
  readonly filename: string
  readonly filepath: string
  readonly size: number
  readonly modified: string
  readonly cid: string
  readonly seq: number
  readonly reason: string
  readonly dataset: string
  readonly content: Backup['sidecar']['content']
  readonly since: string | null
  readonly place: string
}

export interface OffsiteList {
  readonly place: string
  /** Newest first. */
  readonly copies: readonly CopyRecord[]
  /** Without a sidecar: cut off, or not made by Cairn. */
  readonly unfinished: readonly string[]
  readonly damaged: readonly { readonly name: string; readonly reason: string }[]
}

export function listOffsite(
  { signal }: Pick<TaskContext, 'signal'>,
  { address, dataset }: ListOffsiteOptions,
): Promise<OffsiteList> {
  return withPlace(parseOffsite(address), {}, async (place) => {
    const listing = await readOffsite(place.bucket, { signal })
    const isAsked = (name: string): boolean =>
      dataset === undefined || (parseCarName(name)?.dataset ?? dataset) === dataset
    const own = ({ sidecar }: Backup): boolean =>
      dataset === undefined || sidecar.dataset === dataset
    return {
      place: place.location,
      copies: listing.backups.filter(own).map((one) => recordOf(place, one)),
      unfinished: listing.unfinished.filter(isAsked),
      damaged: listing.damaged
        .filter(({ path }) => isAsked(path))
        .map(({ path, reason }) => ({ name: path, reason })),
    }
  })
}

function recordOf(place: Place, { sidecar, paths }: Backup): CopyRecord {
  return {
    filename: paths.car,
    filepath: place.addressOf(paths.car),
    size: sidecar.size_bytes,
    modified: sidecar.verified_at,
    cid: sidecar.snapshot_cid,
    seq: sidecar.seq,
    reason: sidecar.reason ?? '',
    dataset: sidecar.dataset,
    content: sidecar.content,
    since: sidecar.since,
    place: place.location,
  }
}

import type { CID } from 'multiformats/cid'

export interface ArchiveOptions {
  /** The same seed makes the same archive. */
  readonly seed?: number | undefined
  /** Digital objects; 2,187 unless given. */
  readonly objects?: number | undefined
  /** Components are identity CIDs instead of blocks. */
  readonly inline?: boolean | undefined
}

export interface Manifest {
  readonly schema: 'arke/manifest@v1'
  readonly pi: string
  readonly ver: number
  readonly ts: string
  readonly prev: CID | null
  readonly components: Readonly<Record<string, CID>>
  readonly children_pi: readonly string[]
  readonly note: string
}

export interface ArchiveVersion {
  readonly pi: string
  readonly kind: 'institution' | 'collection' | 'series' | 'file unit' | 'digital object'
  readonly ver: number
  readonly ts: number
  /** The CID of the manifest as a DAG-CBOR block: the entity's tip. */
  readonly cid: CID
  readonly manifest: Manifest
  /** The components that are blocks, and last the manifest. */
  readonly blocks: readonly { readonly cid: CID; readonly bytes: Uint8Array }[]
}

export class Archive {
  constructor(options?: ArchiveOptions)
  /** Newest version of each entity, parents before children. */
  readonly entities: readonly ArchiveVersion[]
  /** `count` new versions of entities chosen at random, each with `prev`, oldest first. */
  updates(count: number): Generator<ArchiveVersion, void>
}

/** A version as a line for `cairn import`; self-contained if the archive is inline. */
export function importLine(version: ArchiveVersion): string

/** The lines of a whole archive, and of its updates. */
export function importLines(
  options?: ArchiveOptions & { readonly updates?: number | undefined },
): Generator<string, void>

/**
 * What a commit says of a dataset's copies in other stores. FORMAT.md, "Commit". Each field is there only
 * where it says something: the commits of a dataset that was never replicated have none of them.
 */
import { parseCid, printCid, type CidBytes } from './cid.ts'
import type { Generation } from './generation.ts'
import { Fields, type IpldMap } from './ipld.ts'

/** On a replica: where its state comes from, and which commit there it is. */
export interface ReplicaOf {
  /** The store's location, without secrets. */
  readonly of: string
  readonly number: number
  readonly cid: CidBytes
}

/** Where a generation ended for all that follows: its entries up to `next` belong to the promoted dataset. */
export interface Fork {
  readonly generation: Generation
  readonly next: number
}

/** How often a replica became the primary, and where it parted each time; the newest come last. */
export interface Failovers {
  readonly count: number
  readonly forks: readonly Fork[]
}

/** Another store holds the primary now: nothing is written here any more. */
export interface Fenced {
  readonly by: Generation
  /** The fail-overs of the dataset that took its place. */
  readonly count: number
}

export interface Replication {
  readonly replica?: ReplicaOf | undefined
  readonly fenced?: Fenced | undefined
  readonly failovers?: Failovers | undefined
}

/** Forks that are remembered: who has been away for longer is told that its place is not known. */
export const MOST_FORKS = 64

export interface ReplicationRecord {
  readonly replica?: { readonly of: string; readonly number: number; readonly cid: string }
  readonly fenced?: Fenced
  readonly failovers?: Failovers
}

export function replicationRecord({ replica, fenced, failovers }: Replication): ReplicationRecord {
  return {
    ...(replica === undefined ? {} : { replica: { ...replica, cid: printCid(replica.cid) } }),
    ...(fenced === undefined ? {} : { fenced }),
    ...(failovers === undefined ? {} : { failovers }),
  }
}

export function replicationOf(map: IpldMap): Replication {
  const fields = new Fields(map, 'a commit')
  return {
    ...(fields.has('replica') ? { replica: replicaOf(fields.map('replica')) } : {}),
    ...(fields.has('fenced') ? { fenced: fencedOf(fields.map('fenced')) } : {}),
    ...(fields.has('failovers') ? { failovers: failoversOf(fields.map('failovers')) } : {}),
  }
}

function replicaOf(map: IpldMap): ReplicaOf {
  const fields = new Fields(map, 'the origin of a replica')
  const cid = parseCid(fields.text('cid'))
  return { of: fields.text('of'), number: fields.uint('number'), cid }
}

function fencedOf(map: IpldMap): Fenced {
  const fields = new Fields(map, 'a fence')
  return { by: generationOf(fields.map('by')), count: fields.uint('count') }
}

function failoversOf(map: IpldMap): Failovers {
  const fields = new Fields(map, 'the fail-overs')
  return { count: fields.uint('count'), forks: fields.list('forks').map(forkOf) }
}

function forkOf(value: unknown): Fork {
  const map = typeof value === 'object' && value !== null ? (value as IpldMap) : {}
  const fields = new Fields(map, 'a fork')
  return { generation: generationOf(fields.map('generation')), next: fields.uint('next') }
}

function generationOf(map: IpldMap): Generation {
  const fields = new Fields(map, 'a generation')
  return { number: fields.uint('number'), tag: fields.text('tag') }
}

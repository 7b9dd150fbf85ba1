/** What a dataset is called, and what is fixed when it is made. */
import type { ContentMode } from './entry.ts'
import { Fields, type IpldMap } from './ipld.ts'
import { MAX_CHUNK_SIZE, MIN_CHUNK_SIZE } from './node.ts'

export interface DatasetSettings {
  readonly content: ContentMode
  readonly chunkSize: number
  /** Entries the recent chain may hold; a build comes first at this limit. */
  readonly chainLimit: number
  /** How long a deleted entity is remembered, so that a late retry cannot revive it. */
  readonly deletedMs: number
}

export const MAX_CHAIN_LIMIT = 10_000_000

const NAME = /^[a-z0-9_-]{1,64}$/

export const isDatasetName = (name: string): boolean => NAME.test(name)

export function areSettingsPossible({ chunkSize, chainLimit }: DatasetSettings): boolean {
  return (
    chunkSize >= MIN_CHUNK_SIZE &&
    chunkSize <= MAX_CHUNK_SIZE &&
    chainLimit >= 1 &&
    chainLimit <= MAX_CHAIN_LIMIT
  )
}

/** As commits and checkpoints hold them. */
export interface SettingsRecord {
  readonly content: ContentMode
  readonly chunk_size: number
  readonly chain_limit: number
  readonly deleted_ms: number
}

export function settingsRecord(settings: DatasetSettings): SettingsRecord {
  return {
    content: settings.content,
    chunk_size: settings.chunkSize,
    chain_limit: settings.chainLimit,
    deleted_ms: settings.deletedMs,
  }
}

export function readSettings(map: IpldMap): DatasetSettings {
  const fields = new Fields(map, 'the settings of a dataset')
  return {
    content: fields.oneOf('content', ['linked', 'external']),
    chunkSize: fields.uint('chunk_size'),
    chainLimit: fields.uint('chain_limit'),
    deletedMs: fields.uint('deleted_ms'),
  }
}

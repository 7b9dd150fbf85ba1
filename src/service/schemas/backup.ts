/** CARs: taking one, bringing one, and those in the folder of backups. */
import type { Sidecar } from '../../backup/sidecar.ts'
import type { CarContent as CarContentName } from '../../model/checkpoint.ts'
import {
  CidText,
  Count,
  DatasetName,
  flag,
  list,
  matching,
  nullable,
  oneOf,
  optional,
  Selector,
  strict,
  Text,
  type ObjectSchema,
  type Schema,
} from './common.ts'

export const CarContent: Schema<CarContentName> = oneOf(['full', 'tips', 'index'], {
  description: 'full, tips (their own blocks only) or index (none)',
})

export interface DownloadQuery {
  readonly content?: CarContentName | undefined
  readonly since?: string | undefined
  readonly snapshot?: string | undefined
  readonly version: 1 | 2
}

export const DownloadQuery: ObjectSchema<DownloadQuery> = strict({
  content: optional(CarContent),
  since: optional(Selector),
  snapshot: optional(Selector),
  version: oneOf([1, 2], { default: 1, description: 'of the CAR; version 2 has an index' }),
})

export interface UploadQuery {
  readonly replace?: boolean | undefined
  readonly as?: string | undefined
  readonly dry_run?: boolean | undefined
}

export const UploadQuery: ObjectSchema<UploadQuery> = strict({
  replace: optional(flag('put it in the place of what the dataset holds now')),
  as: optional(DatasetName),
  dry_run: optional(flag('prove everything and change nothing')),
})

/** As its file says, but for the path on the machine. */
export type SidecarRecord = Omit<Sidecar, 'path' | 'cid_counts' | 'schema'> & {
  readonly schema: string
}

const SidecarSchema: ObjectSchema<SidecarRecord> = strict({
  schema: Text,
  dataset: DatasetName,
  identity: Text,
  generation: Count,
  checkpoint_cid: CidText,
  snapshot_cid: CidText,
  seq: Count,
  reason: optional(Text),
  timestamp: Text,
  ts: Text,
  next: Count,
  total_count: Count,
  recent_count: Count,
  tips: oneOf(['linked', 'external']),
  content: CarContent,
  since: nullable(CidText),
  filename: Text,
  size_bytes: Count,
  sha256: Text,
  car_sha256: Text,
  car_version: oneOf([1, 2]),
  blocks: Count,
  encrypted: flag(),
  encrypted_to: list(Text),
  verified_at: Text,
})

export const Backups: ObjectSchema<{ items: readonly SidecarRecord[] }> = strict({
  items: list(SidecarSchema),
})

export const CarFileName: Schema<string> = matching(
  '^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}\\.car(?:\\.age)?$',
  'the name of a CAR in the list of backups',
)

export const BackupParams: ObjectSchema<{ dataset: string; filename: string }> = strict({
  dataset: DatasetName,
  filename: CarFileName,
})

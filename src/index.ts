/** The public API of Cairn. */
export { openCairn, openBackend, type StoreOptions } from './compose.ts'
export { Cairn, type CairnOptions } from './cairn.ts'
export type { Dataset } from './engine/dataset.ts'
export type { DatasetOptions, PutOptions, PutResult } from './engine/dataset.ts'
export type { Appended } from './engine/judge-group.ts'
export type { AppendEntry, CidLike } from './engine/draft.ts'
export type { ChangesOptions, EntryChange, GenerationChange, LogChange } from './engine/changes.ts'
export type { Chunk } from './engine/chunks.ts'
export type { BulkOptions, BulkReport } from './engine/bulk.ts'
export type { ImportEntry } from './engine/import-entry.ts'
export type { BuildOptions, BuildReport } from './engine/build.ts'
export type { LongOptions, Progress } from './engine/context.ts'
export type { Logger } from './engine/logger.ts'
export type { FallBackOptions, FallBackReport, FellBack } from './engine/fall-back.ts'
export type { Damage } from './engine/prove-state.ts'
export type { BuildPhase, Observe, Observed, ObservedFields } from './engine/observe.ts'
export type { InitOptions } from './engine/genesis.ts'
export type { CarCounts } from './engine/car-counts.ts'
export type { ExportCarOptions, ExportedCar } from './engine/export-car.ts'
export type { OpenCar } from './car/state.ts'
export type { RestoreCarOptions, RestoredCar } from './engine/restore-car.ts'
export type { PruneOptions, PruneReport } from './engine/prune/prune.ts'
export type { PromoteReport } from './engine/replica/promote.ts'
export type { HandedOver, HandOverOptions, RejoinConflict } from './engine/replica/rejoin.ts'
export type { ReplicaPolicy } from './engine/replica/replica-set.ts'
export type { ReplicaStore, ReplicaTarget } from './engine/replica/target.ts'
export type { FollowedSource, SyncSource } from './engine/replica/source.ts'
export type { SyncOptions, SyncReport } from './engine/replica/sync.ts'
export type { RetentionPolicy } from './retention/policy.ts'
export { verifyDataset, type VerifyOptions } from './verify/verify.ts'
export type { VerifyReport } from './verify/report.ts'
export { CarFile, type CarFileOptions } from './car/file.ts'
export { FileSink } from './car/file-sink.ts'
export { CarWriter, type BlockWriter, type CarSink, type CarWritten } from './car/writer.ts'
export { CarV2Writer } from './car/writer-v2.ts'
export type { CarContent } from './model/checkpoint.ts'
export type { ListOptions, Page } from './engine/list.ts'
export type { DatasetHead } from './engine/head.ts'
export type { LoggedEntry } from './engine/history.ts'
export type { LogBackOptions, LogBackPage, PlacedEntry } from './engine/log-back.ts'
export type { LogOptions, LogPage } from './engine/log.ts'
export type { RollbackOptions, RollbackReport, RollbackTarget } from './engine/rollback.ts'
export type { DatasetStatus } from './engine/status.ts'
export type { At } from './engine/time.ts'
export type { ContentValue } from './content/encode.ts'
export type { Content } from './content/read.ts'
export type { Change } from './tree/diff.ts'
export type { ContentMode, Entry } from './model/entry.ts'
export type { CommitRecord } from './model/commit.ts'
export type { IpldMap } from './model/ipld.ts'
export type { KeptSnapshot } from './model/kept.ts'
export { parseCid, printCid, type Block, type CidBytes } from './model/cid.ts'
export {
  CairnError,
  ERROR_CODES,
  isCairnError,
  type ErrorCode,
  type ErrorDetails,
} from './errors.ts'
export type {
  Backend,
  CallOptions,
  CommitOutcome,
  CommitRequest,
  CompactedSizes,
  Freed,
  HeldBlock,
  HeldCid,
  Hold,
  Lease,
  ReadOptions,
  Staging,
  StoredCommit,
  StoreStatus,
  Sweep,
} from './store/backend.ts'
export { DEFAULT_MAP, EXPIRING_MAP, type MapKind } from './live/layout.ts'
export type { LiveMap, MapChange, MapOptions, SetOptions } from './live/map.ts'
export type { LiveMaps, MapsTrouble } from './live/maps.ts'
export type { RestoredMaps } from './live/restore.ts'
export type { Schema, SchemaIssue, SchemaResult } from './live/schema.ts'
export type { AutosaveOptions } from './session/autosave.ts'
export type { BackupItem, RestoreBackupOptions, SessionBackups } from './session/backups.ts'
export { openSession, type SessionOptions } from './session/open.ts'
export type { SaveReport } from './session/saver.ts'
export type { Restored, Session, SessionHealth } from './session/session.ts'
export type { Source, SourceState } from './session/sources.ts'

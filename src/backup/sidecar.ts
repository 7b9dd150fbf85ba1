/**
 * The sidecar of a CAR: what is in it, without opening it. Its fields are those of the older system's
 * sidecars and more; docs/CLI.md describes them.
 */
import { CairnError } from '../errors.ts'
import type { CarCounts } from '../engine/car-counts.ts'
import type { ExportedCar } from '../engine/export-car.ts'
import type { CarContent, Checkpoint } from '../model/checkpoint.ts'
import { printCid } from '../model/cid.ts'
import type { ContentMode } from '../model/entry.ts'
import { parseTimestamp } from './name.ts'

const SIDECAR_SCHEMA = 'cairn/car-sidecar@v1'

/** As it stands in the file. */
export interface Sidecar {
  readonly schema: typeof SIDECAR_SCHEMA
  readonly dataset: string
  readonly identity: string
  readonly generation: number
  readonly checkpoint_cid: string
  readonly snapshot_cid: string
  readonly seq: number
  /** Why its snapshot was built; older sidecars do not say. */
  readonly reason?: string
  /** When it was exported, as in the name of the file. */
  readonly timestamp: string
  /** The moment of the newest entry in it. */
  readonly ts: string
  readonly next: number
  readonly total_count: number
  readonly recent_count: number
  /** What a tip of the dataset is. */
  readonly tips: ContentMode
  readonly content: CarContent
  /** Of a delta the snapshot that it needs. */
  readonly since: string | null
  readonly filename: string
  readonly path: string
  readonly size_bytes: number
  /** Of the file as it is, encrypted or not. */
  readonly sha256: string
  /** Of the CAR in it. */
  readonly car_sha256: string
  readonly car_version: 1 | 2
  readonly blocks: number
  readonly cid_counts: CidCounts
  readonly encrypted: boolean
  /** The recipients, whose public keys these are. */
  readonly encrypted_to: readonly string[]
  readonly verified_at: string
}

/** `snapshot`, `dag_nodes` (blocks of content), `events` (of the recent chain) and `total` are older names. */
interface CidCounts {
  readonly snapshot: number
  readonly branches: number
  readonly leaves: number
  readonly checkpoint: number
  readonly chain_lists: number
  readonly events: number
  readonly dag_nodes: number
  readonly total: number
}

export interface CarFacts {
  readonly exported: ExportedCar
  readonly checkpoint: Checkpoint
  readonly version: 1 | 2
  readonly recipients: readonly string[]
  /** Of the file: of an encrypted one the bytes that it has. */
  readonly sizeBytes: number
  readonly sha256: string
  readonly verifiedAt: number
}

export interface Place {
  readonly filename: string
  readonly path: string
  readonly timestamp: string
}

export function sidecarOf(
  { exported, checkpoint, version, recipients, sizeBytes, sha256, verifiedAt }: CarFacts,
  { filename, path, timestamp }: Place,
): Sidecar {
  return {
    schema: SIDECAR_SCHEMA,
    dataset: exported.dataset,
    identity: checkpoint.identity,
    generation: checkpoint.generation.number,
    checkpoint_cid: printCid(exported.checkpoint),
    snapshot_cid: printCid(exported.snapshot),
    seq: exported.seq,
    reason: exported.reason,
    timestamp,
    ts: new Date(exported.ts).toISOString(),
    next: exported.next,
    total_count: exported.totalCount,
    recent_count: exported.recentCount,
    tips: checkpoint.settings.content,
    content: exported.content,
    since: exported.since === null ? null : printCid(exported.since),
    filename,
    path,
    size_bytes: sizeBytes,
    sha256,
    car_sha256: exported.sha256,
    car_version: version,
    blocks: exported.blocks,
    cid_counts: cidCounts(exported.counts),
    encrypted: recipients.length > 0,
    encrypted_to: recipients,
    verified_at: new Date(verifiedAt).toISOString(),
  }
}

export function cidCounts(counts: CarCounts): CidCounts {
  return {
    snapshot: counts.snapshot,
    branches: counts.branch,
    leaves: counts.leaf,
    checkpoint: counts.checkpoint,
    chain_lists: counts['chain list'],
    events: counts.chain,
    dag_nodes: counts.content,
    total: Object.values(counts).reduce((sum, one) => sum + one, 0),
  }
}

export const printSidecar = (sidecar: Sidecar): string => `${JSON.stringify(sidecar, null, 2)}\n`

/** What `sha256sum -c` reads, in the folder of the file. */
export function printSums({ sha256, filename }: Pick<Sidecar, 'sha256' | 'filename'>): string {
  return `${sha256}  ${filename}\n`
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string' && value !== '' && value.length <= 4096
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0
const isFlag: Check = (value) => typeof value === 'boolean'
const isCid: Check = (value) => typeof value === 'string' && /^[a-z2-7]{8,200}$/.test(value)
const isHash: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
const isTime: Check = (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value))
const isOneOf =
  (...these: readonly unknown[]): Check =>
  (value) =>
    these.includes(value)

/** Of the fields that Cairn itself relies on. */
const CHECKS: Readonly<Partial<Record<keyof Sidecar, Check>>> = {
  schema: isOneOf(SIDECAR_SCHEMA),
  dataset: (value) => typeof value === 'string' && /^[a-z0-9_-]{1,64}$/.test(value),
  identity: isText,
  generation: isCount,
  checkpoint_cid: isCid,
  snapshot_cid: isCid,
  seq: isCount,
  reason: (value) => value === undefined || (typeof value === 'string' && value.length <= 4096),
  timestamp: (value) => typeof value === 'string' && parseTimestamp(value) !== undefined,
  ts: isTime,
  next: isCount,
  total_count: isCount,
  recent_count: isCount,
  tips: isOneOf('linked', 'external'),
  content: isOneOf('index', 'tips', 'full'),
  since: (value) => value === null || isCid(value),
  filename: isText,
  size_bytes: isCount,
  sha256: isHash,
  car_version: isOneOf(1, 2),
  blocks: isCount,
  encrypted: isFlag,
  encrypted_to: (value) => Array.isArray(value) && value.every(isText),
  verified_at: isTime,
}

export function parseSidecar(text: string): Sidecar {
  const value = parseObject(text)
  checkVersion(value['schema'])
  for (const [field, check] of Object.entries(CHECKS)) {
    if (!check(value[field])) throw notASidecar(`its field ${field} is wrong or missing`)
  }
  return value as unknown as Sidecar
}

/** One of another version may mean another thing by a field of the same name. */
function checkVersion(schema: unknown): void {
  const family = SIDECAR_SCHEMA.slice(0, SIDECAR_SCHEMA.indexOf('@') + 1)
  if (typeof schema !== 'string' || schema === SIDECAR_SCHEMA || !schema.startsWith(family)) return
  throw new CairnError('format_unsupported', `A sidecar has the format "${schema.slice(0, 64)}".`, {
    hint: `This version of Cairn reads "${SIDECAR_SCHEMA}"; use the version that wrote it.`,
  })
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw notASidecar('it is not JSON')
  }
  if (typeof value === 'object' && value !== null) return { ...value }
  throw notASidecar('it is not an object')
}

function notASidecar(why: string): CairnError {
  return new CairnError('invalid_car', `This is not the sidecar of a CAR: ${why}.`, {
    hint: 'The CAR itself may be good: restore it with --dry-run to see.',
  })
}

/**
 * The readable backup of one live map, as the older cache system "radish" wrote it: a JSON object with `type`,
 * `cache_name`, `timestamp`, `datetime`, `item_count` and `data`, in which each key stands beside its value. Cairn adds
 * to it, in a way that old readers pass over:
 *
 *   schema      "cairn/radish@1": Cairn wrote it; files without it are the old system's
 *   ttl_ms      how long the map's keys live that are set without a time of their own; not there: for good
 *   expires     {key: when it expires, in RFC 3339}, of the keys that do
 *   encodings   {key: how its value in `data` is to be read}, of the values that are not simply JSON:
 *                 base64     the value is bytes, in `data` a text
 *                 dag-json   the value has bytes, links or numbers in it that only DAG-JSON can say
 *                 dag-cbor   the value has what not even that can say; in `data` its block in base64
 *
 * What a value is stands beside it and never in it, so that no value can be taken for another kind. Pure.
 */
import { CairnError } from '../errors.ts'
import {
  DEFAULT_MAP,
  EXPIRING_MAP,
  mapRecord,
  parseMapName,
  type MapKind,
  type MapRecord,
} from '../live/layout.ts'

export const FILE_SCHEMA = 'cairn/radish@1'

const FILE_TYPES = ['named_cache', 'default_store', 'expiring_store'] as const
export type FileType = (typeof FILE_TYPES)[number]

export const ENCODINGS = ['base64', 'dag-json', 'dag-cbor'] as const
export type Encoding = (typeof ENCODINGS)[number]

/** The parts of a file that have a member for each key. */
export const SECTIONS = ['data', 'expires', 'encodings'] as const
export type Section = (typeof SECTIONS)[number]

/** What a file says of itself. */
export interface FileHeader {
  readonly type: FileType
  /** Null: the default or the expiring map, which have no name. */
  readonly cacheName: string | null
  /** YYYYMMDD_HHMMSS. */
  readonly timestamp: string
  readonly datetime: string | null
  readonly itemCount: number
  readonly ttlMs: number | null
}

const TYPES: Readonly<Record<MapKind, FileType>> = {
  default: 'default_store',
  named: 'named_cache',
  expiring: 'expiring_store',
}

/** The header of the file that holds a map with this record. */
export function headerOf(
  name: string,
  { kind, ttl_ms }: Pick<MapRecord, 'kind' | 'ttl_ms'>,
  { ms, itemCount }: { readonly ms: number; readonly itemCount: number },
): FileHeader {
  return {
    type: TYPES[kind],
    cacheName: name === DEFAULT_MAP || name === EXPIRING_MAP ? null : name,
    ...stampsOf(ms),
    itemCount,
    ttlMs: ttl_ms,
  }
}

/** A moment in the old system's two forms, in UTC; Cairn's times have milliseconds. */
function stampsOf(ms: number): { readonly timestamp: string; readonly datetime: string } {
  const datetime = `${new Date(ms).toISOString().slice(0, -1)}000`
  const timestamp = datetime.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_')
  return { timestamp, datetime }
}

/** The map that a file is of. */
export function mapNameOf({ type, cacheName }: FileHeader): string {
  if (type === 'default_store') return DEFAULT_MAP
  if (type === 'expiring_store' && (cacheName === null || cacheName === '')) return EXPIRING_MAP
  return parseMapName(cacheName)
}

/** The record of the map `name` that is made from a file. */
export function recordOf(name: string, { type, ttlMs }: FileHeader): MapRecord {
  const record = mapRecord(name, ttlMs)
  return record.kind === 'named' && type === 'expiring_store'
    ? { ...record, kind: 'expiring' }
    : record
}

/** Which of two files of one map is newer: above 0 when it is `a`, 0 when they do not say. */
export function compareAge(a: FileHeader, b: FileHeader): number {
  const [one, other] = [a, b].map(({ timestamp, datetime }) => `${timestamp} ${datetime ?? ''}`)
  return one === other ? 0 : (one ?? '') > (other ?? '') ? 1 : -1
}

const OLD_FIELDS = ['type', 'cache_name', 'timestamp', 'datetime', 'item_count']
const OUR_FIELDS = new Set([...OLD_FIELDS, 'schema', 'ttl_ms'])
/** Fields after which a file's place among others is known. */
export const PLACE_FIELDS: readonly string[] = ['type', 'cache_name', 'timestamp', 'datetime']

/** The header that the fields of a file make; what is no such file is `invalid_content`. */
export function parseHeader(fields: ReadonlyMap<string, unknown>): FileHeader {
  checkSchema(fields)
  const type = FILE_TYPES.find((one) => one === fields.get('type'))
  if (type === undefined) throw wrong('type', FILE_TYPES.join(', '))
  const cacheName = fields.get('cache_name') ?? null
  if (typeof cacheName !== 'string' && (cacheName !== null || type === 'named_cache'))
    throw wrong('cache_name', 'the name of the map')
  const timestamp = fields.get('timestamp')
  if (typeof timestamp !== 'string' || !/^\d{8}_\d{6}$/.test(timestamp))
    throw wrong('timestamp', 'YYYYMMDD_HHMMSS')
  const datetime = fields.get('datetime') ?? null
  if (typeof datetime !== 'string' && datetime !== null) throw wrong('datetime', 'a text')
  const itemCount = fields.get('item_count')
  if (!isCount(itemCount)) throw wrong('item_count', 'a whole number')
  const ttlMs = fields.get('ttl_ms') ?? null
  if (ttlMs !== null && !(isCount(ttlMs) && ttlMs > 0))
    throw wrong('ttl_ms', 'a whole number above 0')
  return { type, cacheName, timestamp, datetime, itemCount, ttlMs }
}

function checkSchema(fields: ReadonlyMap<string, unknown>): void {
  const schema = fields.get('schema')
  if (schema === undefined) return
  if (schema !== FILE_SCHEMA) {
    throw new CairnError(
      'format_unsupported',
      `The file has the format ${JSON.stringify(schema).slice(0, 60)}.`,
      { hint: `This version of Cairn reads "${FILE_SCHEMA}", and files of radish itself.` },
    )
  }
  const strange = [...fields.keys()].find((name) => !OUR_FIELDS.has(name))
  if (strange === undefined) return
  throw new CairnError('invalid_content', `The file has a field "${strange.slice(0, 60)}".`, {
    hint: `Files of "${FILE_SCHEMA}" have none of that name: take it out.`,
  })
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

function wrong(field: string, expected: string): CairnError {
  return new CairnError('invalid_content', `The file's "${field}" is missing or wrong.`, {
    hint: `It has to be ${expected}.`,
  })
}

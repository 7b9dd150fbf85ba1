/**
 * Layout: how live maps lie in a dataset. All maps of a program are entities of one dataset, so that one
 * commit, one snapshot and one CAR hold all of them at one moment.
 *
 *   maps/NAME       the map itself: its kind and how long its keys live
 *   map/NAME/KEY    one key of it: the content is the value, the entity's expiry is the key's
 *   session         the session: whether it is initialized, who is connected, free metadata
 *
 * In ids NAME has `%25` for "%" and `%2F` for "/", so that a name may hold anything and a key begins behind
 * the second slash. Other entities of the dataset are left alone.
 */
import { CairnError } from '../errors.ts'
import { parseId } from '../model/entity-id.ts'

/** What a map is: the one that has no name of its own, one with a name, or one whose keys expire. */
export const MAP_KINDS = ['default', 'named', 'expiring'] as const
export type MapKind = (typeof MAP_KINDS)[number]

/** The map that is meant when none is named. */
export const DEFAULT_MAP = '~default'
/** The one map of a program that has expiring keys and no name for it. */
export const EXPIRING_MAP = '~expiring'

export const SESSION_ID = 'session'

const RECORDS = 'maps/'
const ITEMS = 'map/'

/** Bytes of a name in an id: it leaves 300 and more for the key. */
const MAX_NAME_BYTES = 200

/** Names that begin with "~" are kept for Cairn's own two. */
export function parseMapName(name: unknown): string {
  if (name === DEFAULT_MAP || name === EXPIRING_MAP) return name
  if (typeof name !== 'string' || name === '' || name.startsWith('~') || !name.isWellFormed())
    throw refused(name)
  if (Buffer.byteLength(escape(name)) > MAX_NAME_BYTES) throw refused(name)
  return name
}

function refused(name: unknown): CairnError {
  const shown = typeof name === 'string' ? `"${name.slice(0, 100)}"` : String(name)
  return new CairnError('usage', `A map cannot be named ${shown}.`, {
    hint: `Use a text of 1 to ${MAX_NAME_BYTES} bytes that does not begin with "~".`,
  })
}

const escape = (name: string): string => name.replaceAll('%', '%25').replaceAll('/', '%2F')
const unescape = (text: string): string => text.replaceAll('%2F', '/').replaceAll('%25', '%')

export const recordId = (name: string): string => `${RECORDS}${escape(name)}`
export const RECORDS_PREFIX: string = RECORDS
export const ITEMS_PREFIX: string = ITEMS

/** What the ids of a map's keys begin with. */
export const itemPrefix = (name: string): string => `${ITEMS}${escape(name)}/`

/** The id of a key; `invalid_entry` where it is too long or not Unicode. */
export function itemId(name: string, key: string): string {
  // In a program without types a number would be one key in memory and another one after a restart.
  if (typeof key !== 'string') throw noText(key)
  const id = `${itemPrefix(name)}${key}`
  parseId(id)
  return id
}

function noText(key: unknown): CairnError {
  return new CairnError('usage', `A key of a map was of the type ${typeof key}.`, {
    hint: 'Keys are texts.',
  })
}

/** Undefined for an entity that is no key of a map. */
export function parseItemId(
  id: string,
): { readonly name: string; readonly key: string } | undefined {
  if (!id.startsWith(ITEMS)) return undefined
  const slash = id.indexOf('/', ITEMS.length)
  if (slash < 0) return undefined
  return { name: unescape(id.slice(ITEMS.length, slash)), key: id.slice(slash + 1) }
}

/** The name of the map that a `maps/` entity records; undefined for any other. */
export function parseRecordId(id: string): string | undefined {
  return id.startsWith(RECORDS) ? unescape(id.slice(RECORDS.length)) : undefined
}

/** The content of a `maps/` entity. */
export interface MapRecord {
  readonly schema: typeof MAP_SCHEMA
  readonly kind: MapKind
  /** How long a key lives that is set without a time of its own; null: for good. */
  readonly ttl_ms: number | null
}

export const MAP_SCHEMA = 'cairn/map@1'

export function mapRecord(name: string, ttlMs: number | null): MapRecord {
  const expires = ttlMs !== null || name === EXPIRING_MAP
  const kind = name === DEFAULT_MAP ? 'default' : expires ? 'expiring' : 'named'
  return { schema: MAP_SCHEMA, kind, ttl_ms: ttlMs }
}

export function parseMapRecord(value: unknown, name: string): MapRecord {
  const { schema, kind, ttl_ms } = (value ?? {}) as Partial<Record<keyof MapRecord, unknown>>
  const known = MAP_KINDS.find((one) => one === kind)
  const ttl = ttl_ms === null || (Number.isSafeInteger(ttl_ms) && Number(ttl_ms) > 0)
  if (schema === MAP_SCHEMA && known !== undefined && ttl)
    return { schema: MAP_SCHEMA, kind: known, ttl_ms: ttl_ms as number | null }
  throw new CairnError(
    typeof schema === 'string' && schema.startsWith('cairn/map@') && schema !== MAP_SCHEMA
      ? 'format_unsupported'
      : 'invalid_content',
    `The entity "${recordId(name)}" is no record of a map.`,
    {
      hint: 'Another program wrote it, or a newer Cairn; use another dataset for maps, or upgrade.',
    },
  )
}

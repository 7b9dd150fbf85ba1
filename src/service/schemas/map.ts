/** Live maps: their records, pages of their keys, and what is written to them. */
import type { MapKind } from '../../live/layout.ts'
import {
  Base64,
  Cid,
  CidText,
  Count,
  DatasetName,
  ExpectedVersion,
  ExpiryText,
  flag,
  integer,
  JsonObject,
  JsonValue,
  Limit,
  list,
  MOST,
  nullable,
  oneOf,
  optional,
  Position,
  schemaOf,
  strict,
  Text,
  text,
  Time,
  TimeOut,
  Version,
  type ObjectSchema,
  type Schema,
} from './common.ts'
import { PageQuery } from './page.ts'

/** Names that begin with "~" are Cairn's own two. */
const MapName: Schema<string> = text(1, 200, 'the name of a map, up to 200 bytes of UTF-8', {
  pattern: '^(?:~default|~expiring|[^~][\\s\\S]*)$',
})

const MapKey: Schema<string> = text(1, 512, 'a key; with the name up to 500 bytes of UTF-8')

export const MapParams: ObjectSchema<{ dataset: string; name: string }> = strict({
  dataset: DatasetName,
  name: MapName,
})

export const MapKeyParams: ObjectSchema<{ dataset: string; name: string; key: string }> = strict({
  dataset: DatasetName,
  name: MapName,
  key: MapKey,
})

const Ttl: Schema<number> = integer(1, MOST, 'how long it lives, in milliseconds')
const TtlOrNull: Schema<number | null> = schemaOf({
  ...Ttl,
  type: ['integer', 'null'],
  description: 'how long it lives, in milliseconds; null: for good',
})

export interface MapAnswer {
  readonly name: string
  readonly kind: MapKind
  /** How long a key lives that is set without a time of its own; null: for good. */
  readonly ttl_ms: number | null
  readonly count: number
}

export const MapAnswer: ObjectSchema<MapAnswer> = strict({
  name: Text,
  kind: oneOf<MapKind>(['default', 'named', 'expiring']),
  ttl_ms: TtlOrNull,
  count: schemaOf<number>({
    ...Count,
    description: 'keys; above 100,000 also those that have expired since the last build',
  }),
})

export const MapsQuery: ObjectSchema<{ limit: number; cursor?: string | undefined }> = strict({
  limit: Limit(1000, 100),
  cursor: PageQuery.properties.cursor,
})

export interface MapsPage {
  readonly items: readonly MapAnswer[]
  readonly has_more: boolean
  readonly next_cursor: string | null
}

export const MapsPage: ObjectSchema<MapsPage> = strict({
  items: list(MapAnswer),
  has_more: flag(),
  next_cursor: nullable(Text),
})

export const MapPut: ObjectSchema<{ ttl_ms: number | null }> = strict({ ttl_ms: TtlOrNull })

export const MapDeleted: ObjectSchema<{ name: string; deleted: number }> = strict({
  name: Text,
  deleted: schemaOf<number>({ ...Count, description: 'how many keys it had' }),
})

export interface KeysQuery {
  readonly limit: number
  readonly cursor?: string | undefined
  readonly prefix?: string | undefined
  readonly order: 'asc' | 'desc'
  readonly values: boolean
}

export const KeysQuery: ObjectSchema<KeysQuery> = strict({
  limit: Limit(10_000, 100),
  cursor: PageQuery.properties.cursor,
  prefix: optional(MapKey),
  order: oneOf(['asc', 'desc'], { default: 'asc', description: 'by the bytes of keys' }),
  values: schemaOf<boolean>({
    type: 'boolean',
    default: false,
    description: 'with what the keys hold; a page of large values ends early',
  }),
})

export interface KeysRead {
  readonly keys: readonly string[]
  readonly values?: boolean | undefined
}

const MAX_READ = 1000

export const KeysRead: ObjectSchema<KeysRead> = strict({
  keys: list(MapKey, { minItems: 1, maxItems: MAX_READ }),
  values: optional(flag('with what the keys hold; true unless given')),
})

/** One key as it is told; `value` or `bytes` where values were asked for. */
export interface KeyItem {
  readonly key: string
  readonly ver: number
  readonly tip: string
  readonly ts: string | number
  readonly exp: string | number | null
  readonly value?: unknown
  readonly bytes?: string | undefined
}

const KeyItem: ObjectSchema<KeyItem> = strict({
  key: Text,
  ver: Version,
  tip: CidText,
  ts: TimeOut,
  exp: nullable(TimeOut),
  value: optional(JsonValue),
  bytes: optional(
    schemaOf<string>({
      type: 'string',
      contentEncoding: 'base64',
      description: 'bytes as base64; above 1 MiB they are left out, and read by their key',
    }),
  ),
})

export interface KeysPage {
  readonly items: readonly KeyItem[]
  readonly has_more: boolean
  readonly next_cursor: string | null
}

export const KeysPage: ObjectSchema<KeysPage> = strict({
  items: list(KeyItem),
  has_more: flag(),
  next_cursor: nullable(Text),
})

export interface KeysFound {
  readonly items: readonly KeyItem[]
  readonly left: readonly string[]
}

export const KeysFound: ObjectSchema<KeysFound> = strict({
  items: list(KeyItem, {
    description: 'in the order of the keys asked for; absent ones are left out',
  }),
  left: list(Text, { description: 'keys that did not fit this answer: ask for them again' }),
})

interface Conditions {
  readonly ver?: number | undefined
  readonly expect_ver?: number | undefined
  readonly expect_tip?: string | null | undefined
}

/** One of tip (null deletes), value and bytes. */
export interface KeyEntry extends Conditions {
  readonly key: string
  readonly tip?: null | undefined
  readonly value?: unknown
  readonly bytes?: string | undefined
  readonly ttl_ms?: number | null | undefined
  readonly exp?: string | number | null | undefined
}

const KeyEntry: Schema<KeyEntry> = schemaOf({
  type: 'object',
  properties: {
    key: MapKey,
    tip: { type: 'null', description: 'deletes' },
    value: JsonValue,
    bytes: Base64,
    ttl_ms: TtlOrNull,
    exp: schemaOf({
      ...nullable(Time),
      description: 'when it ends; of a deletion, how long that is remembered',
    }),
    ver: Version,
    expect_ver: ExpectedVersion,
    expect_tip: nullable(Cid),
  },
  required: ['key'],
  additionalProperties: false,
  oneOf: [{ required: ['tip'] }, { required: ['value'] }, { required: ['bytes'] }],
})

export interface KeysWrite {
  readonly set?: Readonly<Record<string, unknown>> | undefined
  readonly delete?: readonly string[] | undefined
  readonly entries?: readonly KeyEntry[] | undefined
  readonly ttl_ms?: number | null | undefined
}

/** One is kept for the record of the map. */
export const MAX_WRITES = 9999

export const KeysWrite: Schema<KeysWrite> = schemaOf({
  ...strict({
    set: optional(
      schemaOf<KeysWrite['set']>({
        ...JsonObject,
        maxProperties: MAX_WRITES,
        description: 'values by their keys; bytes as {"/": {"bytes": BASE64}}',
      }),
    ),
    delete: optional(
      list(MapKey, { maxItems: MAX_WRITES, description: 'keys; absent ones are passed over' }),
    ),
    entries: optional(
      list(KeyEntry, {
        maxItems: MAX_WRITES,
        description: 'for keys of any text, bytes, conditions, and times of their own',
      }),
    ),
    ttl_ms: optional(TtlOrNull),
  }),
  minProperties: 1,
})

export interface WrittenKey {
  readonly key: string
  readonly ver: number
  readonly tip: string | null
  readonly position: number | null
  readonly status: 'appended' | 'already'
}

export const WrittenKey: ObjectSchema<WrittenKey> = strict({
  key: Text,
  ver: Version,
  tip: nullable(CidText),
  position: nullable(Position),
  status: oneOf(['appended', 'already']),
})

export const WrittenKeys: ObjectSchema<{ entries: readonly WrittenKey[] }> = strict({
  entries: list(WrittenKey),
})

export interface KeyPutQuery {
  readonly ttl_ms?: number | undefined
  readonly expires?: string | undefined
  readonly ver?: number | undefined
  readonly expect_ver?: number | undefined
}

/** Without a time the one of the map holds. */
export const KeyPutQuery: ObjectSchema<KeyPutQuery> = strict({
  ttl_ms: optional(Ttl),
  expires: optional(ExpiryText),
  ver: optional(Version),
  expect_ver: optional(ExpectedVersion),
})

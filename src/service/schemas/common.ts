/**
 * The words of the API as schemas. Those for requests are so tight that the engine takes what they let
 * through; those for answers are plain types, so that answers are printed fast. A field that may be null
 * or of two types is one schema of several types: a union would be tried out value by value.
 */
import { Type, type Static, type TSchema } from 'typebox'
import { CID_PATTERN } from './cid-pattern.ts'

/** The schema of a value, whatever JSON it is made of. */
export type Schema<T> = Type.TUnsafe<T>

export const schemaOf = <T>(json: Readonly<Record<string, unknown>>): Schema<T> =>
  Type.Unsafe<T>({ ...json })

type Field<T> = undefined extends T ? Type.TOptional<Schema<Exclude<T, undefined>>> : Schema<T>

/** The schema of an object whose fields are those of `T`. */
export type ObjectSchema<T> = Type.TObject<{ -readonly [K in keyof T]-?: Field<T[K]> }>

/** An object without any other fields. */
export function strict<T extends Record<string, TSchema>>(
  properties: T,
  description?: string,
): Type.TObject<T> {
  const about = description === undefined ? {} : { description }
  return Type.Object(properties, { additionalProperties: false, ...about })
}

export const optional = <T>(schema: Schema<T>): Type.TOptional<Schema<T>> => Type.Optional(schema)

export function nullable<T extends TSchema>(schema: T): Schema<Static<T> | null> {
  const { type, ...rest } = schema as { readonly type?: string | readonly string[] }
  return schemaOf({ ...rest, type: [type ?? [], 'null'].flat() })
}

export const list = <T extends TSchema>(
  items: T,
  options: Readonly<Record<string, unknown>> = {},
): Schema<readonly Static<T>[]> => schemaOf({ type: 'array', items, ...options })

export const oneOf = <T extends string | number>(
  values: readonly T[],
  options: Readonly<Record<string, unknown>> = {},
): Schema<T> =>
  schemaOf({ type: typeof values[0] === 'number' ? 'integer' : 'string', enum: values, ...options })

export const flag = (description?: string): Schema<boolean> =>
  schemaOf({ type: 'boolean', ...(description === undefined ? {} : { description }) })

export const integer = (least: number, most: number, description?: string): Schema<number> =>
  schemaOf({
    type: 'integer',
    minimum: least,
    maximum: most,
    ...(description === undefined ? {} : { description }),
  })

/** The format of texts that are Unicode. */
export const UNICODE = 'unicode'

export const matching = (pattern: string, description: string): Schema<string> =>
  schemaOf({ type: 'string', pattern, description })

// --- What clients send ------------------------------------------------------------------------------

export const DatasetName: Schema<string> = matching('^[a-z0-9_-]{1,64}$', 'the name of a dataset')

/** Text that can be stored: no half of a surrogate pair, which other languages have no pattern for. */
export const text = (
  least: number,
  most: number,
  description: string,
  more: Readonly<Record<string, unknown>> = {},
): Schema<string> =>
  schemaOf({
    type: 'string',
    minLength: least,
    maxLength: most,
    format: UNICODE,
    description,
    ...more,
  })

export const EntityId: Schema<string> = text(
  1,
  512,
  'the id of an entity, up to 512 bytes of UTF-8',
)

export const Reason: Schema<string> = text(1, 256, 'why, for the lists of snapshots and jobs')

/** One that names a snapshot by itself (`latest`, `seq:7`) is refused. */
export const Tag: Schema<string> = text(1, 128, 'a tag to find a snapshot by')

export const Selector: Schema<string> = text(
  1,
  512,
  'a kept snapshot: latest, latest~2, seq:7, a tag, a CID or the beginning of one',
)

export const Cid: Schema<string> = matching(
  `^(?:${CID_PATTERN})$`,
  'a CID of sha2-256: version 1 in base32, or version 0',
)

export const MOST: number = Number.MAX_SAFE_INTEGER

export const Version: Schema<number> = integer(1, MOST, 'a version')

export const ExpectedVersion: Schema<number> = integer(
  0,
  MOST,
  'the version that the entity must have now; 0: it must not exist',
)

export const Position: Schema<number> = integer(0, MOST, 'a place in the log')

const YEAR_FROM_1971 = '(?:197[1-9]|19[89]\\d|[2-9]\\d{3})'
const LEAP_YEAR =
  '(?:19(?:7[26]|8[048]|9[26])|[2-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[3579][26])00)'
const MONTH_AND_DAY =
  '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))'
const CLOCK = '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?'
const ZONE = '(?:Z|[+-](?:0\\d|1[0-3]):[0-5]\\d)'

/** RFC 3339, of days that there are, from 1970 on. */
const TIME_PATTERN = [
  `(?:${YEAR_FROM_1971}-${MONTH_AND_DAY}|${LEAP_YEAR}-02-29)T${CLOCK}${ZONE}`,
  `1970-${MONTH_AND_DAY}T${CLOCK}Z`,
].join('|')

/** In bodies: a text, or a number. */
export const Time: Schema<string | number> = schemaOf({
  type: ['string', 'integer'],
  pattern: `^(?:${TIME_PATTERN})$`,
  minimum: 0,
  maximum: MOST,
  description: 'RFC 3339 with its zone, or milliseconds since 1970',
})

/** In addresses, where everything is text. */
export const TimeText: Schema<string> = matching(
  `^(?:${TIME_PATTERN}|\\d{1,15})$`,
  'RFC 3339 with its zone, or milliseconds since 1970',
)

/** When a key of a map ends. */
export const ExpiryText: Schema<string> = matching(
  `^(?:never|${TIME_PATTERN}|\\d{1,15})$`,
  'RFC 3339 with its zone, milliseconds since 1970, or never',
)

/** Larger bytes are a body of their own (`PUT .../content`). */
const MAX_BASE64_CHARS = Math.ceil((1 << 20) / 3) * 4

export const Base64: Schema<string> = schemaOf({
  type: 'string',
  maxLength: MAX_BASE64_CHARS,
  pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$',
  contentEncoding: 'base64',
  description: 'bytes as base64, up to 1 MiB of them',
})

const JSON_VALUE = 'JsonValue'

/** Known to all routes, by its name. */
export const JsonValueSchema: Readonly<Record<string, unknown>> = {
  $id: JSON_VALUE,
  description: 'any JSON; a link is {"/": CID}, bytes are {"/": {"bytes": BASE64}} (DAG-JSON)',
  anyOf: [
    { type: 'null' },
    { type: 'boolean' },
    { type: 'string' },
    { type: 'integer', minimum: -MOST, maximum: MOST },
    { type: 'number' },
    { type: 'array', items: { $ref: `${JSON_VALUE}#` } },
    { type: 'object', additionalProperties: { $ref: `${JSON_VALUE}#` } },
  ],
}

export const JsonValue: Schema<unknown> = schemaOf({ $ref: `${JSON_VALUE}#` })

export const JsonObject: Schema<Readonly<Record<string, unknown>>> = schemaOf({
  type: 'object',
  additionalProperties: { $ref: `${JSON_VALUE}#` },
})

export const Limit = (most: number, fallback: number): Schema<number> =>
  schemaOf({ ...integer(1, most, 'how many at most'), default: fallback })

export const DatasetParams: ObjectSchema<{ dataset: string }> = strict({ dataset: DatasetName })
export const EntityParams: ObjectSchema<{ dataset: string; pi: string }> = strict({
  dataset: DatasetName,
  pi: EntityId,
})

/** Where nothing can be asked for. */
export const NoQuery: ObjectSchema<Record<never, never>> = strict({})

// --- What they are told -----------------------------------------------------------------------------

export const Text: Schema<string> = schemaOf({ type: 'string' })
export const Count: Schema<number> = schemaOf({ type: 'integer', minimum: 0 })
export const CidText: Schema<string> = schemaOf({
  type: 'string',
  pattern: '^(?:b[a-z2-7]+|Qm[1-9A-HJ-NP-Za-km-z]{44})$',
})

/** RFC 3339 in UTC; what is later than the year 9999 in milliseconds since 1970. */
export const TimeOut: Schema<string | number> = schemaOf({
  type: ['string', 'integer'],
  description: 'RFC 3339 in UTC; milliseconds since 1970 beyond the year 9999',
})

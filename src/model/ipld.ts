/** Records that are no hot path are encoded by `@ipld/dag-cbor`; this is where they are taken apart. */
import * as dagCbor from '@ipld/dag-cbor'
import { CairnError } from '../errors.ts'
import { bytesEqual, isEngineCid, linkOf, type CidBytes } from './cid.ts'
import { dagCborValue } from './dag-cbor.ts'

export type IpldMap = Readonly<Record<string, unknown>>

export function encodeIpld(value: unknown): Uint8Array {
  try {
    return dagCbor.encode(value)
  } catch (cause) {
    throw new CairnError('usage', 'A value has no place in the IPLD data model.', {
      hint: 'Use text, numbers, booleans, null, lists and maps, without cycles.',
      cause,
    })
  }
}

const MAX_DEPTH = 32

/** Whether a value is made of texts, numbers, booleans, null, lists and maps only: no bytes, no Links. */
export function isPlain(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === 'boolean') return true
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number')
    return Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value)
  if (typeof value !== 'object' || depth === MAX_DEPTH) return false
  if (Array.isArray(value)) return value.every((one) => isPlain(one, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  return (
    (prototype === Object.prototype || prototype === null) &&
    !isTakenForLink(value) &&
    Object.entries(value).every(([key, one]) => key.isWellFormed() && isPlain(one, depth + 1))
  )
}

/** The library's encoder takes such a map for a CID, and fails. */
function isTakenForLink(map: object): boolean {
  const { '/': slash, bytes } = map as IpldMap
  return slash !== undefined && slash !== null && slash === bytes
}

/** A block that must be a map with this schema tag. */
export function decodeIpldMap(bytes: Uint8Array, schema: string): IpldMap {
  let value: unknown
  try {
    value = dagCborValue(bytes)
  } catch (cause) {
    throw notA(schema, cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw notA(schema)
  }
  const map = value as IpldMap
  if (map['schema'] === schema) return map
  throw otherSchema('A block', map['schema'], schema)
}

/** For a record that has another tag than `expected`: of another version, or of another kind. */
function otherSchema(what: string, found: unknown, expected: string): CairnError {
  const name = expected.slice(0, expected.indexOf('@') + 1)
  if (typeof found === 'string' && found.startsWith(name)) {
    return new CairnError('format_unsupported', `${what} has the format "${found.slice(0, 64)}".`, {
      hint: `This version of Cairn reads "${expected}"; use the version that wrote the store.`,
    })
  }
  return new CairnError('invalid_block', `${what} is not the ${expected} it should be.`, {
    hint: DAMAGED_HINT,
  })
}

/** Runs the decoder of a fixed shape; a block of another version is told from a malformed one. */
export function decodeFixed<T>(bytes: Uint8Array, schema: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    decodeIpldMap(bytes, schema)
    throw error
  }
}

/** A record has one encoding; a block that is another one of it, or says more, is refused. */
export function checkCanonical(bytes: Uint8Array, canonical: Uint8Array, what: string): void {
  if (bytesEqual(bytes, canonical)) return
  throw new CairnError(
    'invalid_block',
    `${what} is not in its canonical form, or has unknown fields.`,
    {
      hint: 'The block was not written by Cairn; restore the dataset from a backup that verifies.',
    },
  )
}

/** What to do about a record that is not what it should be. */
export const DAMAGED_HINT =
  'It was damaged, or not written by Cairn; restore the dataset from a backup.'

function notA(schema: string, cause?: unknown): CairnError {
  const message = `A block is not the ${schema} it should be.`
  return new CairnError('invalid_block', message, { hint: DAMAGED_HINT, cause })
}

/** Reads the fields of a decoded record, each with its check. */
export class Fields {
  readonly #map: IpldMap
  readonly #what: string

  constructor(map: IpldMap, what: string) {
    this.#map = map
    this.#what = what
  }

  #fail(field: string, expected: string): never {
    throw new CairnError(
      'invalid_block',
      `The field "${field}" of ${this.#what} is not ${expected}.`,
      {
        hint: DAMAGED_HINT,
        field,
      },
    )
  }

  has(field: string): boolean {
    return this.#map[field] !== undefined
  }

  text(field: string): string {
    const value = this.#map[field]
    return typeof value === 'string' ? value : this.#fail(field, 'a text')
  }

  textOrNull(field: string): string | null {
    return this.#map[field] === null ? null : this.text(field)
  }

  uint(field: string): number {
    const value = this.#map[field]
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : this.#fail(field, 'a whole number')
  }

  uintOrNull(field: string): number | null {
    return this.#map[field] === null ? null : this.uint(field)
  }

  oneOf<T extends string>(field: string, values: readonly T[]): T {
    const value = this.#map[field]
    return values.find((one) => one === value) ?? this.#fail(field, values.join(' or '))
  }

  map(field: string): IpldMap {
    const value = this.#map[field]
    return typeof value === 'object' && Object.getPrototypeOf(value ?? []) === Object.prototype
      ? (value as IpldMap)
      : this.#fail(field, 'a map')
  }

  list(field: string): readonly unknown[] {
    const value = this.#map[field]
    return Array.isArray(value) ? value : this.#fail(field, 'a list')
  }

  texts(field: string): string[] {
    return this.list(field).map((one) =>
      typeof one === 'string' ? one : this.#fail(field, 'a list of texts'),
    )
  }

  /** A CID held as bytes. */
  weakCid(field: string): CidBytes {
    const value = this.#map[field]
    return value instanceof Uint8Array && isEngineCid(value)
      ? value
      : this.#fail(field, 'a CID as bytes')
  }

  weakCidOrNull(field: string): CidBytes | null {
    return this.#map[field] === null ? null : this.weakCid(field)
  }

  link(field: string): CidBytes {
    return engineLink(this.#map[field]) ?? this.#fail(field, 'a link')
  }

  linkOrNull(field: string): CidBytes | null {
    return this.#map[field] === null ? null : this.link(field)
  }

  links(field: string): CidBytes[] {
    return this.list(field).map((one) => engineLink(one) ?? this.#fail(field, 'a list of links'))
  }
}

/** The CID of a Link to a block of the engine. */
function engineLink(value: unknown): CidBytes | undefined {
  const cid = linkOf(value)?.bytes
  return cid !== undefined && isEngineCid(cid) ? cid : undefined
}

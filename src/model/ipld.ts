/** Records that are no hot path are encoded by `@ipld/dag-cbor`; this is where they are taken apart. */
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { CairnError } from '../errors.ts'
import { isEngineCid, type CidBytes } from './cid.ts'

export type IpldMap = Readonly<Record<string, unknown>>

export function encodeIpld(value: unknown): Uint8Array {
  return dagCbor.encode(value)
}

/** A block that must be a map with this schema tag. */
export function decodeIpldMap(bytes: Uint8Array, schema: string): IpldMap {
  let value: unknown
  try {
    value = dagCbor.decode(bytes)
  } catch (cause) {
    throw new CairnError('invalid_block', `A block is not the ${schema} it should be.`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CairnError('invalid_block', `A block is not the ${schema} it should be.`)
  }
  const map = value as IpldMap
  if (map['schema'] === schema) return map
  throw new CairnError('format_unsupported', `A block has the format "${String(map['schema']).slice(0, 64)}".`, {
    hint: `This version of Cairn reads "${schema}"; use the version that wrote the store.`,
  })
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
    throw new CairnError('invalid_block', `The field "${field}" of ${this.#what} is not ${expected}.`, {
      field,
    })
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

  oneOf<T extends string>(field: string, values: readonly T[]): T {
    const value = this.#map[field]
    return values.find((one) => one === value) ?? this.#fail(field, values.join(' or '))
  }

  map(field: string): IpldMap {
    const value = this.#map[field]
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as IpldMap)
      : this.#fail(field, 'a map')
  }

  list(field: string): readonly unknown[] {
    const value = this.#map[field]
    return Array.isArray(value) ? value : this.#fail(field, 'a list')
  }

  texts(field: string): string[] {
    return this.list(field).map((one) => (typeof one === 'string' ? one : this.#fail(field, 'a list of texts')))
  }

  /** A CID held as bytes. */
  weakCid(field: string): CidBytes {
    const value = this.#map[field]
    return value instanceof Uint8Array && isEngineCid(value) ? value : this.#fail(field, 'a CID as bytes')
  }

  weakCidOrNull(field: string): CidBytes | null {
    return this.#map[field] === null ? null : this.weakCid(field)
  }

  link(field: string): CidBytes {
    const cid = CID.asCID(this.#map[field])
    return cid !== null && isEngineCid(cid.bytes) ? cid.bytes : this.#fail(field, 'a link')
  }
}

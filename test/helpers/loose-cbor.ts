/**
 * CBOR as a careless or hostile writer makes it: like DAG-CBOR but for one deviation, at the place and
 * of the kind that is asked for.
 */
import { CID } from 'multiformats/cid'

export const DEVIATIONS = [
  'wide head',
  'widest head',
  'indefinite length',
  'longer length',
  'shorter length',
  'huge length',
  'largest length',
  'major type',
  'swapped keys',
  'doubled key',
  'wrong tag',
  'wide tag',
  'no CID prefix',
  'bad UTF-8',
  'undefined',
  'float',
  'negative',
  'reserved head',
  'break',
] as const

export type Deviation = (typeof DEVIATIONS)[number]

class LooseWriter {
  readonly #deviation: Deviation
  /** How many places that could deviate are still to be passed. */
  #left: number
  deviated = false

  constructor(deviation: Deviation, place: number) {
    this.#deviation = deviation
    this.#left = place
  }

  /** Whether it is here that the writer deviates in this way. */
  #here(...kinds: Deviation[]): boolean {
    if (this.deviated || !kinds.includes(this.#deviation)) return false
    if (this.#left > 0) {
      this.#left -= 1
      return false
    }
    this.deviated = true
    return true
  }

  #head(major: number, value: number, least = 0): Buffer {
    const base = major << 5
    const big = Buffer.alloc(9)
    big[0] = base | 27
    big.writeBigUInt64BE(BigInt(value), 1)
    if (least === 27) return big
    if (value < 24 && least < 24) return Buffer.from([base | value])
    if (value < 0x100 && least < 25) return Buffer.from([base | 24, value])
    if (value < 0x1_0000) return Buffer.from([base | 25, value >>> 8, value & 0xff])
    if (value < 2 ** 32) return Buffer.concat([Buffer.from([base | 26]), big.subarray(5)])
    return big
  }

  #number(value: number): Buffer {
    if (!Number.isInteger(value) || this.#here('float')) {
      const float = Buffer.alloc(9)
      float[0] = 0xfb
      float.writeDoubleBE(value, 1)
      return float
    }
    if (this.#here('negative')) return this.#head(1, value)
    return this.#deviantHead(0, value)
  }

  /** A head that may say something else than it should. */
  #deviantHead(major: number, value: number): Buffer {
    if (this.#here('wide head') && value < 0x1_0000)
      return this.#head(major, value, value < 24 ? 24 : 25)
    if (this.#here('widest head') && value < 2 ** 32) return this.#head(major, value, 27)
    if (this.#here('major type')) return this.#head((major + 1) % 6, value)
    if (this.#here('reserved head')) return Buffer.from([(major << 5) | 28])
    if (this.#here('undefined')) return Buffer.from([0xf7])
    if (this.#here('break')) return Buffer.from([0xff])
    if (major === 0) return this.#head(0, value)
    if (this.#here('longer length')) return this.#head(major, value + 1)
    if (this.#here('shorter length')) return this.#head(major, Math.max(0, value - 1))
    if (this.#here('huge length')) return this.#head(major, 2 ** 31)
    if (this.#here('largest length'))
      return Buffer.from([(major << 5) | 27, ...new Uint8Array(8).fill(0xff)])
    return this.#head(major, value)
  }

  #bytes(major: number, bytes: Buffer): Buffer {
    if (this.#here('indefinite length')) {
      return Buffer.concat([
        Buffer.from([(major << 5) | 31]),
        this.#head(major, bytes.length),
        bytes,
        Buffer.from([0xff]),
      ])
    }
    return Buffer.concat([this.#deviantHead(major, bytes.length), bytes])
  }

  #text(text: string): Buffer {
    const bytes = Buffer.from(text)
    if (bytes.length > 0 && this.#here('bad UTF-8')) bytes[bytes.length - 1] = 0xc3
    return this.#bytes(3, bytes)
  }

  #link(cid: CID): Buffer {
    const prefix = this.#here('no CID prefix') ? [] : [0]
    const tag = this.#here('wrong tag')
      ? [0xd8, 43]
      : this.#here('wide tag')
        ? [0xd9, 0, 42]
        : [0xd8, 42]
    return Buffer.concat([Buffer.from(tag), this.#bytes(2, Buffer.from([...prefix, ...cid.bytes]))])
  }

  #list(major: number, length: number, parts: readonly Buffer[]): Buffer {
    if (this.#here('indefinite length')) {
      return Buffer.concat([Buffer.from([(major << 5) | 31]), ...parts, Buffer.from([0xff])])
    }
    return Buffer.concat([this.#deviantHead(major, length), ...parts])
  }

  write(value: unknown): Buffer {
    if (value === null) return Buffer.from([0xf6])
    if (typeof value === 'boolean') return Buffer.from([value ? 0xf5 : 0xf4])
    if (typeof value === 'number') return this.#number(value)
    if (typeof value === 'string') return this.#text(value)
    if (value instanceof Uint8Array) return this.#bytes(2, Buffer.from(value))
    if (Array.isArray(value))
      return this.#list(
        4,
        value.length,
        value.map((one) => this.write(one)),
      )
    const cid = CID.asCID(value)
    if (cid !== null) return this.#link(cid)
    return this.#map(value as Record<string, unknown>)
  }

  #map(map: Readonly<Record<string, unknown>>): Buffer {
    const keys = Object.keys(map).sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
    if (keys.length > 1 && this.#here('swapped keys')) keys.reverse()
    const fields = keys.map((key) => Buffer.concat([this.#text(key), this.write(map[key])]))
    const doubled = fields[0] !== undefined && this.#here('doubled key') ? [fields[0]] : []
    return this.#list(5, keys.length + doubled.length, [...doubled, ...fields])
  }
}

/** The bytes with one deviation; undefined when the value has no such place. */
export function looseCbor(value: unknown, deviation: Deviation, place: number): Buffer | undefined {
  const writer = new LooseWriter(deviation, place)
  const bytes = writer.write(value)
  return writer.deviated ? bytes : undefined
}

/** The bytes without any deviation. */
export const strictCbor = (value: unknown): Buffer =>
  new LooseWriter('break', Infinity).write(value)

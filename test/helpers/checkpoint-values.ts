/** Plain values of checkpoints and chain lists, and bad CIDs, for tests that spoil records. */
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import { expect } from 'vitest'
import { tipOf } from './entries.ts'
import { cidOfText } from './library.ts'
import { CID } from 'multiformats/cid'

export type Value = Record<string, unknown>

export const checkpoint: Value = {
  schema: 'cairn/checkpoint@v1',
  dataset: 'main',
  identity: 'bidentity',
  origins: ['borigin', 'bother'],
  generation: { number: 2, tag: '0011223344556677' },
  settings: { content: 'linked', chunk_size: 64, chain_limit: 300, deleted_ms: 2_592_000_000 },
  content: 'full',
  snapshot: CID.decode(cidOfText('snapshot')),
  since: cidOfText('since'),
  recent_chain: CID.decode(cidOfText('list')),
  base: cidOfText('base'),
  recent_count: 20,
  chain_first: 300,
  next: 320,
  next_ordinal: 40,
  next_seq: 7,
  total_count: 90,
}
export const withoutChain: Value = {
  ...checkpoint,
  since: null,
  recent_chain: null,
  base: null,
  recent_count: 0,
}

export const listValue = (level: number, count: number): Value => ({
  schema: 'cairn/chain-list@v1',
  level,
  links: Array.from({ length: count }, (_, n) => CID.decode(cidOfText(`block ${n}`))),
})

/** The code with which `decode` refuses; undefined when it takes the bytes. */
export function refusal(
  decode: (bytes: Uint8Array) => unknown,
  bytes: Uint8Array,
): ErrorCode | undefined {
  try {
    decode(bytes)
    return undefined
  } catch (error) {
    if (!isCairnError(error)) throw error
    expect(error.message.length).toBeGreaterThan(10)
    return error.code
  }
}

export function link(): CID {
  return CID.decode(cidOfText('some link'))
}

/** CIDs, as bytes, that are none that Cairn takes. */
export function badTips(): Uint8Array[] {
  const good = tipOf('a')
  const change = (at: number, byte: number): Uint8Array => Uint8Array.from(good.with(at, byte))
  return [
    new Uint8Array(0),
    Uint8Array.of(1),
    change(0, 0),
    change(0, 2),
    // A codec of two bytes, the second of which looks like the hash: so the hash is none.
    change(1, 0x80),
    change(1, 0xff),
    change(2, 0x13),
    change(2, 0x16),
    change(3, 31),
    change(3, 33),
    good.slice(0, -1),
    Uint8Array.from([...good, 0]),
    // sha2-256 cut to 20 bytes.
    Uint8Array.from([1, 0x55, 0x12, 20, ...good.slice(4, 24)]),
    // Numbers of a CID in more bytes than they need, and without end.
    Uint8Array.from([1, 0xd5, 0x00, 0x12, 32, ...good.slice(4)]),
    Uint8Array.from([1, ...new Uint8Array(30).fill(0xff)]),
    // Identity: a digest of another length, and a CID above 40 bytes.
    Uint8Array.from([1, 0x55, 0, 4, 1, 2, 3]),
    Uint8Array.from([1, 0x55, 0, 37, ...new Uint8Array(37)]),
    // Version 0 with another hash.
    Uint8Array.from([0x11, 20, ...new Uint8Array(20)]),
  ]
}

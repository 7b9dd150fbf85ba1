/** Ids, CIDs and cursors. CIDs are held to `multiformats`. */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { cidMatches, cidParts, parseCid, printCid } from '../../../src/model/cid.ts'
import { parseCursor, printCursor } from '../../../src/model/cursor.ts'
import { idOfKey, keyOf, parseId, prefixEnd } from '../../../src/model/entity-id.ts'
import { parseTime, parseVersion } from '../../../src/model/entry.ts'
import { golden } from '../golden.ts'
import { demand, same, tokensOf, unlessRefused, type Target } from '../target.ts'

const CIDS: readonly Uint8Array[] = [
  Buffer.from(`01711220${'ab'.repeat(32)}`, 'hex'),
  Buffer.from(`01551220${'00'.repeat(32)}`, 'hex'),
  Buffer.from(`01a9021220${'11'.repeat(32)}`, 'hex'),
  Buffer.from(`1220${'cd'.repeat(32)}`, 'hex'),
  Buffer.from('01550003010203', 'hex'),
  Buffer.from('01550000', 'hex'),
  Buffer.from(`01701114${'22'.repeat(20)}`, 'hex'),
]
const HASHES = { 'sha2-256': 0x12, identity: 0 } as const

const cidBytes: Target = {
  name: 'cid-bytes',
  covers: ['model/cid.ts:cidParts'],
  kind: 'bytes',
  tokens: tokensOf('0x01', '0x1220', '0x0155', '0x0171', '0x8000', '0xffffff7f', '0xa902'),
  maxBytes: 128,
  seeds: () => [...CIDS],
  run(bytes) {
    const parts = unlessRefused(['invalid_entry'], () => cidParts(bytes))
    if (parts === undefined) return
    const cid = CID.decode(bytes)
    const { codec, hash, digest } = parts
    demand(
      cid.code === codec && cid.multihash.code === HASHES[hash],
      'multiformats reads the same codec and hash',
    )
    demand(same(cid.multihash.digest, digest), 'multiformats reads the same digest')
    demand(same(parseCid(printCid(bytes)), bytes), 'a CID that is printed is read again')
    demand(printCid(bytes) === cid.toString(), 'multiformats prints the same')
    demand(hash !== 'identity' || cidMatches(bytes, digest), 'an identity CID names its digest')
  },
}

const cidText: Target = {
  name: 'cid-text',
  covers: ['model/base32.ts:parseUsualBase32', 'model/cid.ts:parseCid'],
  kind: 'bytes',
  tokens: tokensOf(
    'bafyrei',
    'bafkrei',
    'Qm',
    'z',
    'f0171',
    'F01711220',
    'u',
    'm',
    'k',
    'bafkqaaa',
    '🚀',
  ),
  maxBytes: 256,
  seeds: () => [
    ...CIDS.map((bytes) => Buffer.from(CID.decode(bytes).toString())),
    Buffer.from('zdpuAyvkgEDQm9TenwGkd5eNaosSxjgEYd8QatfPetgB1CdEZ'),
    Buffer.from('mAXESIKurq6urq6urq6urq6urq6urq6urq6urq6urq6urq6ur'),
  ],
  run(bytes) {
    const text = Buffer.from(bytes).toString()
    const cid = unlessRefused(['invalid_entry'], () => parseCid(text))
    if (cid === undefined) return
    demand(same(CID.parse(text).bytes, cid), 'multiformats reads the same')
    demand(same(parseCid(printCid(cid)), cid), 'a CID that is read is printed and read again')
  },
}

const cursor: Target = {
  name: 'cursor',
  covers: ['model/cursor.ts:parseCursor'],
  kind: 'bytes',
  maxBytes: 1024,
  seeds: () => [
    ...golden('cursor').flatMap((one) => [
      Buffer.concat([Buffer.of(0), one]),
      Buffer.concat([Buffer.of(1), one]),
    ]),
    ...[true, false].flatMap((descending) =>
      ['a', 'é', 'x'.repeat(512)].map((pi) =>
        Buffer.concat([
          Buffer.of(descending ? 1 : 0),
          Buffer.from(printCursor({ dataset: 'bdataset', descending, after: keyOf(pi) })),
        ]),
      ),
    ),
  ],
  mend(bytes) {
    const all = Buffer.from(Buffer.from(bytes.subarray(1)).toString(), 'base64url')
    const body = all.subarray(0, -4)
    const check = createHash('sha256').update(body).digest().subarray(0, 4)
    const text = Buffer.concat([body, check]).toString('base64url')
    return Buffer.concat([bytes.subarray(0, 1), Buffer.from(text)])
  },
  run(bytes) {
    const text = Buffer.from(bytes.subarray(1)).toString()
    const descending = ((bytes[0] ?? 0) & 1) === 1
    const parsed = unlessRefused(['invalid_cursor'], () =>
      parseCursor(text, 'bdataset', descending),
    )
    if (parsed === undefined) return
    demand(printCursor(parsed) === text, 'a cursor that is read is printed the same')
    demand(idOfKey(parsed.after).length > 0, 'it names a place')
  },
}

const id: Target = {
  name: 'id',
  covers: ['model/entity-id.ts:parseId', 'model/entry.ts:parseVersion', 'model/entry.ts:parseTime'],
  kind: 'bytes',
  tokens: tokensOf('0x00d8', '0x00dc', '0x3dd800de', '0xfffe', '0xff00'),
  maxBytes: 1200,
  seeds: () =>
    ['a', 'Ünïcode', '😀', 'x'.repeat(512), 'ü'.repeat(256)].map((one) =>
      Buffer.from(one, 'utf16le'),
    ),
  run(bytes) {
    const text = Buffer.from(bytes).toString('utf16le')
    const number = bytes.length >= 8 ? Buffer.from(bytes).readDoubleLE() : bytes.length
    unlessRefused(['invalid_entry'], () => parseVersion(number))
    unlessRefused(['invalid_entry'], () => parseTime(number, 'ts'))
    const key = unlessRefused(['invalid_entry'], () => parseId(text))
    if (key === undefined) return
    demand(idOfKey(key) === text, 'an id comes back from its key')
    demand(
      key.length === Buffer.byteLength(text) && key.length <= 512,
      'a key has a char for each byte',
    )
    const end = prefixEnd(key)
    demand(
      end === undefined || (end > key && end > `${key}\u00ff`),
      'the end of a prefix lies behind it',
    )
  },
}

export const IDENTIFIER_TARGETS: readonly Target[] = [cidBytes, cidText, cursor, id]

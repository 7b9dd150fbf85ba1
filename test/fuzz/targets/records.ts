/**
 * The engine's records. What a decoder takes is the one encoding of a record: by our own encoder and by
 * `@ipld/dag-cbor`, which reads the same values out of it.
 */
import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import type { ErrorCode } from '../../../src/errors.ts'
import { decodeChainBlock } from '../../../src/model/chain-block.ts'
import {
  decodeChainList,
  decodeCheckpoint,
  encodeChainList,
  encodeCheckpoint,
} from '../../../src/model/checkpoint.ts'
import { canonicalJson, decodeCommit, encodeCommit } from '../../../src/model/commit.ts'
import { keyOf } from '../../../src/model/entity-id.ts'
import { dagCborValue } from '../../../src/model/dag-cbor.ts'
import { readEntry, readExp, type Entry } from '../../../src/model/entry.ts'
import { decodeKeptPage, encodeKeptPage } from '../../../src/model/kept.ts'
import {
  decodeNode,
  encodeNode,
  isLeaf,
  readChildRecord,
  type Node,
} from '../../../src/model/node.ts'
import { keyAt, lowerBound } from '../../../src/model/run.ts'
import { decodeSnapshot, encodeSnapshot } from '../../../src/model/snapshot.ts'
import { golden } from '../golden.ts'
import { demand, same, tokensOf, unlessRefused, type Target } from '../target.ts'

const REFUSALS: readonly ErrorCode[] = ['invalid_block', 'format_unsupported']

const TAGS = tokensOf(
  'cairn/chain@v1',
  'cairn/chain@v2',
  'cairn/node@v1',
  'cairn/snapshot@v1',
  'cairn/kept@v1',
  'cairn/checkpoint@v1',
  'cairn/chain-list@v1',
  '0xd82a582500017112',
  '0x582401711220',
  '0x5824015512',
  '0xf6',
  '0x1b001fffffffffffff',
  '0x1b0020000000000000',
)

type Value = Record<string, unknown>

/** Records whose list of entries says to have 268,435,455. */
function boastful(kind: string): Uint8Array[] {
  return golden(kind).map((bytes) => {
    const at = Buffer.from(bytes).indexOf('entries') + 7
    return Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from('9a0fffffff', 'hex'),
      bytes.subarray(at + 1),
    ])
  })
}

/** What the library reads, but for the U+FEFF that it drops; it must write the same bytes again. */
function byTheLibrary(bytes: Uint8Array): Value {
  const value = dagCborValue(bytes) as Value
  demand(same(dagCbor.encode(value), bytes), 'the library would encode it to the same bytes')
  return value
}

function sameEntry(entry: Entry, row: unknown): void {
  demand(Array.isArray(row) && row.length === 5, 'an entry is a list of five')
  const [pi, ver, tip, ts, exp] = row as unknown[]
  const cid = CID.asCID(tip)?.bytes ?? tip
  demand(entry.pi === pi, 'the library reads the same id')
  const numbers = entry.ver === ver && entry.ts === ts && entry.exp === exp
  demand(numbers, 'the library reads the same version and times')
  const sameTip =
    cid instanceof Uint8Array ? entry.tip !== null && same(cid, entry.tip) : cid === entry.tip
  demand(sameTip, 'the library reads the same tip')
}

const chain: Target = {
  name: 'chain',
  covers: [
    'model/chain-block.ts:decodeChainBlock',
    'model/entry.ts:readEntry',
    'model/entry.ts:scanEntry',
    'model/ipld.ts:decodeFixed',
  ],
  kind: 'cbor',
  tokens: TAGS,
  seeds: () => golden('chain').concat(boastful('chain')),
  run(bytes) {
    const block = unlessRefused(REFUSALS, () => decodeChainBlock(bytes))
    if (block === undefined) return
    const { schema, entries, prev, back, ...rest } = byTheLibrary(bytes)
    demand(schema === 'cairn/chain@v1' && Array.isArray(entries), 'it is a chain block')
    demand(entries.length === block.entries.length, 'the library reads as many entries')
    for (const [i, entry] of block.entries.entries()) sameEntry(entry, entries[i])
    const { dataset, ordinal, first, ts } = block
    demand(
      canonicalJson(rest) === canonicalJson({ dataset, ordinal, first, ts }),
      'the library reads the same fields',
    )
    const weak = [prev, ...(back as unknown[])].map((cid) =>
      cid instanceof Uint8Array ? Buffer.from(cid).toString('hex') : cid,
    )
    const ours = [block.prev, ...block.back].map((cid) =>
      cid === null ? cid : Buffer.from(cid).toString('hex'),
    )
    demand(canonicalJson(weak) === canonicalJson(ours), 'the library reads the same weak links')
  },
}

const node: Target = {
  name: 'node',
  covers: ['model/node.ts:decodeNode', 'model/node.ts:readChildRecord', 'model/entry.ts:readExp'],
  kind: 'cbor',
  tokens: TAGS,
  seeds: () => golden('leaf').concat(golden('branch'), boastful('leaf')),
  run(bytes) {
    const decoded = unlessRefused(REFUSALS, () => decodeNode(bytes))
    if (decoded === undefined) return
    const { level, count, starts } = decoded
    const records = decoded.bytes.subarray(starts[0] ?? 0, starts[count] ?? 0)
    if (count > 0)
      demand(same(encodeNode(level, count, records), bytes), 'it is the encoding of its records')
    const value = byTheLibrary(bytes)
    demand(value['level'] === level, 'the library reads the same level')
    const rows = value[isLeaf(decoded) ? 'entries' : 'children']
    demand(Array.isArray(rows) && rows.length === count, 'the library reads as many records')
    sameRecords(decoded, rows as unknown[])
  },
}

function sameRecords(decoded: Node, rows: readonly unknown[]): void {
  for (const [i, row] of rows.entries()) {
    const start = decoded.starts[i] ?? 0
    const id = (row as unknown[])[0]
    demand(
      typeof id === 'string' && keyOf(id) === keyAt(decoded, i),
      'the library reads the same id',
    )
    demand(lowerBound(decoded, keyAt(decoded, i)) === i, 'a search finds each record')
    if (isLeaf(decoded)) {
      const entry = readEntry(decoded.bytes, start)
      sameEntry(entry, row)
      demand(
        readExp(decoded.bytes, start) === entry.exp,
        'an expiry is read alone as with the rest',
      )
      continue
    }
    const { last, count, live, bytes, exp, cid } = readChildRecord(decoded.bytes, start)
    const [, ...others] = row as unknown[]
    const link = CID.asCID(others.pop())
    demand(link !== null && same(link.bytes, cid), 'the library reads the same link')
    demand(last === keyAt(decoded, i), 'a child is read alone as with the rest')
    demand(
      canonicalJson(others) === canonicalJson([count, live, bytes, exp]),
      'the library reads the same counts',
    )
  }
}

/** A record that the library decodes for us: our encoder must write it back. */
function libraryRecord(
  name: string,
  kind: string,
  covers: readonly string[],
  recode: (bytes: Uint8Array) => Uint8Array,
): Target {
  return {
    name,
    covers,
    kind: 'cbor',
    tokens: TAGS,
    seeds: () => golden(kind),
    run(bytes) {
      const again = unlessRefused(REFUSALS, () => recode(bytes))
      if (again === undefined) return
      demand(same(again, bytes), 'what is decoded is encoded to the same bytes')
      byTheLibrary(bytes)
    },
  }
}

function chainListAgain(bytes: Uint8Array): Uint8Array {
  const { level, links } = decodeChainList(bytes)
  // The encoder makes lists of level 0 out of links, and above them what it needs.
  if (level === 0) return encodeChainList(links)[0]?.bytes ?? new Uint8Array(0)
  const links1 = links.map((cid) => CID.decode(cid))
  return dagCbor.encode({ schema: 'cairn/chain-list@v1', level, links: links1 })
}

/** With the check that its fields have, so that a change is not refused for that alone. */
function mendCommit(bytes: Uint8Array): Uint8Array {
  try {
    const { check: _, ...record } = JSON.parse(Buffer.from(bytes).toString()) as Value
    const check = createHash('sha256').update(canonicalJson(record)).digest('hex').slice(0, 16)
    return Buffer.from(canonicalJson({ ...record, check }))
  } catch {
    return bytes
  }
}

/** The same commit of a replica, of a fenced dataset, and of one that took the place of another. */
function replicated(bytes: Uint8Array): Uint8Array[] {
  const { commit, cid } = decodeCommit(bytes)
  const { generation } = commit
  return [
    { replica: { of: 's3://bucket/main', number: 7, cid } },
    { fenced: { by: generation, count: 1 } },
    { failovers: { count: 2, forks: [{ generation, next: 5 }] } },
  ].map((replication) => encodeCommit({ ...commit, ...replication }).bytes)
}

const commit: Target = {
  name: 'commit',
  covers: [
    'model/commit.ts:decodeCommit',
    'model/replication.ts:replicationOf',
    'model/settings.ts:readSettings',
  ],
  kind: 'json',
  tokens: tokensOf(
    'null',
    '"schema":"cairn/commit@v2"',
    '9007199254740992',
    '-0',
    '1e3',
    '{}',
    '[]',
  ),
  seeds: () => golden('commit').flatMap((one) => [one, ...replicated(one)]),
  mend: mendCommit,
  run(bytes) {
    const decoded = unlessRefused(['pointer_damaged', 'format_unsupported'], () =>
      decodeCommit(bytes),
    )
    if (decoded === undefined) return
    demand(
      same(encodeCommit(decoded.commit).bytes, bytes),
      'what is decoded is encoded to the same bytes',
    )
    demand(same(mendCommit(bytes), bytes), 'its check is right')
  },
}

export const RECORD_TARGETS: readonly Target[] = [
  chain,
  node,
  libraryRecord(
    'snapshot',
    'snapshot',
    ['model/snapshot.ts:decodeSnapshot', 'model/ipld.ts:decodeIpldMap'],
    (bytes) => encodeSnapshot(decodeSnapshot(bytes)).bytes,
  ),
  libraryRecord(
    'kept',
    'kept',
    ['model/kept.ts:decodeKeptPage'],
    (bytes) => encodeKeptPage(decodeKeptPage(bytes)).bytes,
  ),
  libraryRecord(
    'checkpoint',
    'checkpoint',
    ['model/checkpoint.ts:decodeCheckpoint'],
    (bytes) => encodeCheckpoint(decodeCheckpoint(bytes)).bytes,
  ),
  libraryRecord(
    'chain-list',
    'chain list',
    ['model/checkpoint.ts:decodeChainList'],
    chainListAgain,
  ),
  commit,
]

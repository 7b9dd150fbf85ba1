/**
 * Stores and CARs as a made-up version of Cairn would have written them: one record is changed, and all
 * that names it, up to the commits or the root, names the changed one. Every hash and check is right.
 */
import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { openMemory } from '../../src/backend/memory.ts'
import {
  cborBlock,
  cidKey,
  parseCid,
  printCid,
  rawCidOf,
  type CidBytes,
} from '../../src/model/cid.ts'
import { canonicalJson } from '../../src/model/commit.ts'
import type { Backend } from '../../src/store/backend.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'

type Row = Readonly<Record<string, unknown>>
export type Edit = (row: Row) => Row

/** All that a store holds. */
export interface RawStore {
  readonly blocks: ReadonlyMap<string, Uint8Array>
  /** Of each dataset, by number. */
  readonly commits: ReadonlyMap<string, readonly Uint8Array[]>
}

/** What is changed: a block, or a commit of `main`. */
export type Target = { readonly block: CidBytes } | { readonly commit: number }

export async function recorded(fill: (backend: Backend) => Promise<void>): Promise<RawStore> {
  const blocks = new Map<string, Uint8Array>()
  const commits = new Map<string, Uint8Array[]>()
  const inner = openMemory()
  const take = (some: readonly { readonly cid: CidBytes; readonly bytes: Uint8Array }[]): void => {
    for (const { cid, bytes } of some) blocks.set(cidKey(cid), new Uint8Array(bytes))
  }
  const recording = wrapBackend(inner, {
    stage: async (dataset, label, options) => {
      const staging = await inner.stage(dataset, label, options)
      return {
        ...staging, // by which the store knows it again
        put: async (some, callOptions) => {
          take(some)
          await staging.put(some, callOptions)
        },
      }
    },
    commit: async (request, options) => {
      const outcome = await inner.commit(request, options)
      take([...(request.content ?? []), ...request.blocks])
      const log = commits.get(request.dataset) ?? []
      commits.set(request.dataset, log)
      if (outcome === 'committed') log.push(request.bytes)
      return outcome
    },
  })
  await fill(recording)
  return { blocks, commits }
}

/** Puts commits of a raw store into another one, from the one after those that it has. */
export async function replay(
  raw: RawStore,
  backend: Backend,
  until: number = Infinity,
): Promise<void> {
  let blocks = [...raw.blocks].map(([key, bytes]) => ({
    cid: Buffer.from(key, 'latin1'),
    bytes,
    hold: 'self' as const,
  }))
  for (const [dataset, commits] of raw.commits) {
    const there = await backend.newest(dataset, -1)
    for (
      let number = (there?.number ?? -1) + 1;
      number < Math.min(commits.length, until);
      number++
    ) {
      const bytes = commits[number] ?? new Uint8Array()
      const outcome = await backend.commit({ dataset, number, bytes, blocks })
      if (outcome !== 'committed') throw new Error(`a replayed commit: ${outcome}`)
      blocks = []
    }
  }
}

/** The store as it would be if that record had always been like this. */
export function forged(raw: RawStore, target: Target, edit: Edit): RawStore {
  const { blocks, moved } = forgedBlocks(raw.blocks, 'block' in target ? target.block : null, edit)
  const commits = new Map<string, Uint8Array[]>()
  for (const [dataset, log] of raw.commits) {
    const own = dataset === 'main' && 'commit' in target ? target.commit : -1
    commits.set(dataset, forgedLog(log, own, edit, moved))
  }
  return { blocks, commits }
}

type Moved = (cid: CidBytes) => CidBytes

/** The blocks, where `target` is changed and what leads to it follows; `moved` says what became of a CID. */
export function forgedBlocks(
  blocks: ReadonlyMap<string, Uint8Array>,
  target: CidBytes | null,
  edit: Edit,
): { blocks: ReadonlyMap<string, Uint8Array>; moved: Moved } {
  const made = new Map<string, Uint8Array>()
  const places = new Map<string, CidBytes>()
  const moved: Moved = (cid) => {
    const key = cidKey(cid)
    const known = places.get(key)
    const bytes = blocks.get(key)
    if (known !== undefined || bytes === undefined || cid[1] !== dagCbor.code) return known ?? cid
    const row = substituted(dagCbor.decode<Row>(bytes), moved) as Row
    const block = cborBlock(
      dagCbor.encode(target !== null && key === cidKey(target) ? edit(row) : row),
    )
    places.set(key, block.cid)
    made.set(cidKey(block.cid), block.bytes)
    return block.cid
  }
  for (const [key, bytes] of blocks) {
    const cid = Buffer.from(key, 'latin1')
    if (moved(cid) === cid) made.set(key, bytes)
  }
  return { blocks: made, moved }
}

function substituted(value: unknown, moved: Moved): unknown {
  const cid = CID.asCID(value)
  if (cid !== null) return CID.decode(moved(cid.bytes))
  if (value instanceof Uint8Array) return value.length === 36 ? moved(value) : value
  if (Array.isArray(value)) return value.map((one) => substituted(one, moved))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([k, one]) => [k, substituted(one, moved)]))
}

function forgedLog(
  log: readonly Uint8Array[],
  own: number,
  edit: Edit,
  moved: Moved,
): Uint8Array[] {
  let prev: string | null = null
  return log.map((bytes, number) => {
    const row: Row = { ...commitRow(bytes, moved), prev }
    const changed = number === own ? edit(row) : row
    const made = commitBytes(changed)
    prev = printCid(rawCidOf(made))
    return made
  })
}

const rowOf = (bytes: Uint8Array): Row => JSON.parse(Buffer.from(bytes).toString()) as Row

function commitRow(bytes: Uint8Array, moved: Moved): Row {
  const { check: _, ...row } = rowOf(bytes)
  const text = (value: unknown): unknown =>
    typeof value === 'string' && /^bafy[a-z2-7]{55}$/.test(value)
      ? printCid(moved(parseCid(value)))
      : value
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [key, text(value)]))
}

function commitBytes(row: Row): Uint8Array {
  const check = createHash('sha256').update(canonicalJson(row)).digest('hex').slice(0, 16)
  return Buffer.from(canonicalJson({ ...row, check }))
}

/** What is made up: the record as a newer version, or none, would have written it. */
export const EDITS: Readonly<Record<string, { readonly newer: boolean; readonly edit: Edit }>> = {
  'the next version': { newer: true, edit: (row) => ({ ...row, schema: raised(row, 2) }) },
  'a far version': { newer: true, edit: (row) => ({ ...row, schema: raised(row, 10) }) },
  'the next version, of another shape': {
    newer: true,
    edit: (row) => ({
      schema: raised(row, 2),
      of: 'another shape',
      fields: Object.keys(row).length,
    }),
  },
  'an unknown field': { newer: false, edit: (row) => ({ ...row, a_new_one: 1 }) },
  'a field less': { newer: false, edit: (row) => without(row, lastField(row)) },
  'no tag': { newer: false, edit: (row) => without(row, 'schema') },
}

const raised = (row: Row, version: number): string =>
  String(row['schema']).replace(/@v1$/, `@v${version}`)

/** Any field but the tag. */
const lastField = (row: Row): string =>
  Object.keys(row).findLast((field) => field !== 'schema') ?? 'schema'

const without = (row: Row, field: string): Row =>
  Object.fromEntries(Object.entries(row).filter(([key]) => key !== field))

/** The records of `main` by where they stand; `new`: what is current names it, `old`: only what is kept. */
export function recordsOf({ blocks, commits }: RawStore): Readonly<Record<string, Target>> {
  const log = commits.get('main') ?? []
  const row = (cid: CidBytes): Row =>
    dagCbor.decode<Row>(blocks.get(cidKey(cid)) ?? new Uint8Array())
  const named = (number: number, field: string): CidBytes =>
    parseCid(String(rowOf(log.at(number) ?? new Uint8Array())[field]))
  const kept = (row(named(-1, 'kept'))['snapshots'] as { cid: CidBytes; tags: string[] }[]).find(
    ({ tags }) => tags.includes('first'),
  )
  if (kept === undefined) throw new Error('no snapshot "first"')
  const rootOf = (header: CidBytes): CidBytes => (row(header)['root'] as CID).bytes
  const leavesOf = (header: CidBytes): CidBytes[] =>
    (row(rootOf(header))['children'] as [...unknown[], CID][]).map(
      (child) => (child.at(-1) as CID).bytes,
    )
  const now = named(-1, 'latest_snapshot_cid')
  const only = (of: CidBytes, other: CidBytes): CidBytes => {
    const others = new Set(leavesOf(other).map(cidKey))
    const found = leavesOf(of).find((leaf) => !others.has(cidKey(leaf)))
    if (found === undefined) throw new Error('no leaf of its own')
    return found
  }
  return {
    'new commit': { commit: log.length - 1 },
    'new header': { block: now },
    'new root': { block: rootOf(now) },
    'new leaf': { block: only(now, kept.cid) },
    'new chain block': { block: named(-1, 'recent_chain_head') },
    'new kept page': { block: named(-1, 'kept') },
    'old commit': { commit: 2 },
    'old header': { block: kept.cid },
    'old root': { block: rootOf(kept.cid) },
    'old leaf': { block: only(kept.cid, now) },
    'old chain block': { block: named(1, 'recent_chain_head') },
  }
}

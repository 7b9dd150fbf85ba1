/**
 * The commit that makes a restored state current. It keeps the identity of what was restored, or under
 * another name makes a new one and records where the blocks come from; positions and numbers never go
 * back; the generation is a new one.
 */
import { base32 } from 'multiformats/bases/base32'
import { Overlay } from '../chain/overlay.ts'
import type { LoadedBlock } from '../chain/walk.ts'
import { CairnError } from '../errors.ts'
import { bytesEqual, sameCid, type CidBytes } from '../model/cid.ts'
import { encodeCommit, type Commit } from '../model/commit.ts'
import type { DatasetSettings } from '../model/settings.ts'
import { DAMAGED_HINT } from '../model/ipld.ts'
import { decodeKeptPage, encodeKeptPage, keep, type KeptPage } from '../model/kept.ts'
import { encodeChainList } from '../model/checkpoint.ts'
import type { HeldBlock, Staging } from '../store/backend.ts'
import { readProvedBlock } from '../store/proved.ts'
import { factsOf, type CarFacts, type CarState } from '../car/state.ts'
import type { Context } from './context.ts'
import { settingsOf } from './genesis.ts'
import { commitSurely } from './next-commit.ts'
import type { Pointer } from './pointer.ts'
import { commitLog, newestOf } from './prune/log.ts'
import { keptSnapshots } from './snapshots.ts'
import { identitiesOf, overlayEntries, type State } from './state.ts'
import type { NodeStore } from '../tree/node-store.ts'
import { Tree } from '../tree/tree.ts'

export interface RestoreTarget {
  readonly name: string
  readonly pointer: Pointer | undefined
}

export interface Restored {
  readonly generation: number
  /** The commit that a rollback to undoes it; null where there was none before. */
  readonly undo: number | null
}

interface CommitOptions {
  readonly chain: readonly LoadedBlock[]
  readonly staging: Staging
  /** The name that was asked for. */
  readonly minted: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Whether a dataset is in the very state that a CAR holds. */
export function isRestored({ commit, chain }: State, found: CarState): boolean {
  const facts = factsOf(found)
  const { identity } = facts
  return (
    identitiesOf(commit).includes(identity) &&
    bytesEqual(commit.snapshot, found.snapshot) &&
    sameCid(commit.base, facts.base) &&
    sameCid(chainListOf(chain), facts.chain)
  )
}

/** What a checkpoint names a chain by. */
function chainListOf(chain: readonly LoadedBlock[]): CidBytes | null {
  if (chain.length === 0) return null
  return encodeChainList(chain.map(({ cid }) => cid)).at(-1)?.cid ?? null
}

export async function commitRestored(
  context: Context,
  { name, pointer }: RestoreTarget,
  found: CarState,
  options: CommitOptions,
): Promise<Restored> {
  const total = factsOf(found).totalCount
  if (pointer === undefined) return commitFirst(context, name, found, total, options)
  return pointer.move(
    async (state) => {
      const { fields, blocks } = await fieldsOf(context, name, found, total, state, options)
      const result = { generation: fields.generation.number, undo: state.commit.number }
      return { changes: fields, blocks, staging: options.staging, result }
    },
    { signal: options.signal, fresh: true },
  )
}

/** The count of live entities that the CAR says must be what tree and chain give. */
export async function proveTotal(
  nodes: NodeStore,
  found: CarState,
  chain: readonly LoadedBlock[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const overlay = new Overlay(await Tree.open(nodes, found.header.root, signal))
  for (const entry of overlayEntries(chain)) overlay.set(entry)
  const total = await overlay.liveCount()
  const said = factsOf(found).totalCount
  if (total === said) return
  throw new CairnError(
    'invalid_block',
    `The checkpoint counts ${said} entities, there are ${total}.`,
    { hint: DAMAGED_HINT },
  )
}

async function commitFirst(
  context: Context,
  name: string,
  found: CarState,
  total: number,
  options: CommitOptions,
): Promise<Restored> {
  const { fields, blocks } = await fieldsOf(context, name, found, total, undefined, options)
  const { bytes } = encodeCommit({
    ...fields,
    number: 0,
    oldest: 0,
    prev: null,
    ts: Math.max(context.now(), fields.ts),
    writer: context.writer,
    dataset: name,
  })
  const request = { dataset: name, number: 0, bytes, blocks, staging: options.staging }
  if ((await commitSurely(context, request)) === 'committed')
    return { generation: fields.generation.number, undo: null }
  throw new CairnError('conflict', `The dataset "${name}" was made by someone else meanwhile.`, {
    hint: 'Nothing was changed. Look at it, then restore with --replace or --as.',
    dataset: name,
  })
}

type RestoredFields = Omit<Commit, 'number' | 'oldest' | 'prev' | 'writer' | 'dataset'>

async function fieldsOf(
  context: Context,
  name: string,
  found: CarState,
  total: number,
  state: State | undefined,
  { chain, minted }: CommitOptions,
): Promise<{ fields: RestoredFields; blocks: HeldBlock[] }> {
  const facts = factsOf(found)
  const { header, snapshot } = found
  const before = state?.commit
  const who = identityOf(context, facts, before, minted !== undefined && minted !== facts.dataset)
  const same = before && (await newestOf(commitLog(context, before, before.oldest), who.identity))
  const next = Math.max(facts.next, same?.next ?? 0)
  const chainFirst = facts.recentCount === 0 ? next : facts.chainFirst
  const kept = await keptWith(context, found, same)
  return {
    fields: {
      ...who,
      ts: Math.max(header.ts, chain.at(-1)?.block.ts ?? 0),
      reason: `restore ${name}`,
      generation: {
        number: Math.max(facts.generation, before?.generation.number ?? 0) + 1,
        tag: Buffer.from(context.randomBytes(8)).toString('hex'),
      },
      settings: facts.settings ?? settingsFrom(found),
      snapshot,
      snapshotSeq: header.seq,
      snapshotTs: header.ts,
      snapshotCount: header.live,
      head: chain.at(-1)?.cid ?? null,
      base: facts.base,
      recentCount: facts.recentCount,
      chainFirst,
      next,
      nextOrdinal: Math.max(facts.nextOrdinal, same?.nextOrdinal ?? 0),
      nextSeq: Math.max(facts.nextSeq, same?.nextSeq ?? 0),
      // What came before is not in the CAR.
      floor: chainFirst,
      totalCount: total,
      exclusive: null,
      ...kept.fields,
    },
    blocks: kept.blocks,
  }
}

function identityOf(
  context: Context,
  { identity, origins }: CarFacts,
  before: Commit | undefined,
  renamed: boolean,
): Pick<Commit, 'identity' | 'origins'> {
  if (before !== undefined && identitiesOf(before).includes(identity)) {
    return { identity: before.identity, origins: [...new Set([...before.origins, ...origins])] }
  }
  if (!renamed) return { identity, origins: [...origins] }
  const minted = base32.encode(context.randomBytes(16))
  return { identity: minted, origins: [...new Set([identity, ...origins])] }
}

function settingsFrom({ header }: CarState): DatasetSettings {
  return settingsOf({ content: header.content, chunkSize: header.chunkSize })
}

/** The kept list with the restored snapshot in it. */
async function keptWith(
  context: Context,
  { snapshot, header }: CarState,
  before: Commit | undefined,
): Promise<{ fields: Pick<Commit, 'kept' | 'keptCount'>; blocks: HeldBlock[] }> {
  let newest: { page: KeptPage; cid: CidBytes } | undefined
  if (before !== undefined) {
    const { kept, keptCount } = before
    for await (const { cid } of keptSnapshots(context, before))
      if (bytesEqual(cid, snapshot)) return { fields: { kept, keptCount }, blocks: [] }
    newest = {
      page: decodeKeptPage(await readProvedBlock(context.backend, kept, 'the kept list')),
      cid: kept,
    }
  }
  const { seq, ts, entries, live, reason, tags } = header
  const page = encodeKeptPage(keep(newest, { cid: snapshot, seq, ts, entries, live, reason, tags }))
  return {
    fields: { kept: page.cid, keptCount: (before?.keptCount ?? 0) + 1 },
    blocks: [{ ...page, hold: 'self' }],
  }
}

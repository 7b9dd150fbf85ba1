/**
 * The states that CARs hold, to be read: entities at the newest one or at the snapshot of any root, and what lies
 * between two of them. The order of steps is that of the engine; nothing of it that writes is needed.
 */
import { openCarBackend } from '../../../src/backend/car.ts'
import { findCarState, stateOfRoot, type OpenCar } from '../../../src/car/state.ts'
import type { CarFile } from '../../../src/car/file.ts'
import { Overlay } from '../../../src/chain/overlay.ts'
import { chunksOf } from '../../../src/engine/chunks.ts'
import { momentOf, REAL_TIMERS, type Context } from '../../../src/engine/context.ts'
import { SILENT } from '../../../src/engine/logger.ts'
import { historyOf } from '../../../src/engine/history.ts'
import { listPage } from '../../../src/engine/list.ts'
import {
  changeRecords,
  chunkRecord,
  snapshotRecord,
  type ChangeRecord,
  type ChunkRecord,
} from '../../../src/engine/records.ts'
import {
  completeState,
  identitiesOf,
  openTree,
  prepareState,
  type State,
} from '../../../src/engine/state.ts'
import { View } from '../../../src/engine/view.ts'
import { CairnError, isCairnError } from '../../../src/errors.ts'
import { bytesEqual, printCid, type CidBytes } from '../../../src/model/cid.ts'
import { decodeCommit } from '../../../src/model/commit.ts'
import { parseId } from '../../../src/model/entity-id.ts'
import { entryRecord } from '../../../src/model/entry-record.ts'
import type { SnapshotHeader } from '../../../src/model/snapshot.ts'
import { NodeStore } from '../../../src/tree/node-store.ts'
import { diffTrees } from '../../../src/tree/diff.ts'
import type {
  EntryRecord,
  LoggedRecord,
  PageQuery,
  PageRecord,
  SnapshotRecord,
} from '../../../src/client/records.ts'

const CACHE_BYTES = 48 << 20
const HISTORY_LIMIT = 100

export interface States {
  /** Of the state that is browsed. */
  readonly root: CidBytes
  readonly entities: (query: PageQuery) => Promise<PageRecord>
  readonly entity: (pi: string, at?: string) => Promise<EntryRecord | null>
  readonly history: (pi: string, limit?: number) => Promise<readonly LoggedRecord[]>
  readonly snapshots: () => readonly SnapshotRecord[]
  readonly chunks: (selector: string) => AsyncGenerator<ChunkRecord>
  readonly diff: (from: string, to?: string) => AsyncGenerator<ChangeRecord>
}

/** A snapshot that a root leads to. */
interface Found {
  readonly cid: CidBytes
  readonly header: SnapshotHeader
}

interface Opened {
  readonly context: Context
  readonly state: State
  /** Newest first. */
  readonly snapshots: readonly Found[]
}

export async function openStates(cars: readonly CarFile[]): Promise<States> {
  const { root } = findCarState(cars)
  const opened = await openState(cars)
  const { context, state } = opened
  const headerAt = (selector: string): SnapshotHeader => find(opened, selector).header
  return {
    root,
    entities: (query) => entitiesOf(opened, query),
    entity: async (pi, at) => {
      const entry = await (await viewOf(opened, at)).view.get(parseId(pi))
      return entry === undefined || entry.tip === null ? null : entryRecord(entry)
    },
    history: (pi, limit) => loggedOf(opened, pi, limit),
    snapshots: () => opened.snapshots.map((one) => recordOf(one, state)),
    chunks: async function* (selector) {
      for await (const chunk of chunksOf(context, headerAt(selector))) yield chunkRecord(chunk)
    },
    diff: async function* (from, to = 'latest') {
      const [before, after] = [headerAt(from), headerAt(to)]
      yield* changeRecords(diffTrees(context.nodes, before.root, after.root))
    },
  }
}

async function openState(cars: readonly CarFile[]): Promise<Opened> {
  const backend = openCarBackend(cars)
  const context: Context = {
    backend,
    nodes: new NodeStore(backend, CACHE_BYTES),
    now: Date.now,
    timers: REAL_TIMERS,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    writer: 'car',
    log: SILENT,
  }
  const [name = 'main'] = await backend.datasets()
  const stored = await backend.newest(name, -1)
  if (stored === undefined) throw new CairnError('internal', 'a CAR without a commit')
  const state = completeState(await prepareState(context, decodeCommit(stored.bytes)))
  return { context, state, snapshots: snapshotsOf(cars, state) }
}

/** The snapshots of all roots that belong to the same dataset; a root that is none is passed over. */
function snapshotsOf(cars: readonly OpenCar[], { commit }: State): Found[] {
  const identities = identitiesOf(commit)
  const found = new Map<string, Found>()
  for (const { roots } of cars) {
    for (const root of roots) {
      const one = unlessBad(() => stateOfRoot(cars, root))
      if (one === undefined || !identities.includes(one.header.dataset)) continue
      const since = one.checkpoint?.since ?? null
      const whole = since === null || cars.some((car) => car.has(since))
      if (whole) found.set(printCid(one.snapshot), { cid: one.snapshot, header: one.header })
    }
  }
  return [...found.values()].toSorted((a, b) => b.header.seq - a.header.seq)
}

function unlessBad<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isCairnError(error)) return undefined
    throw error
  }
}

function recordOf({ cid, header }: Found, { commit }: State): SnapshotRecord {
  return { ...snapshotRecord({ cid, ...header }), current: bytesEqual(cid, commit.snapshot) }
}

/** By `latest`, `latest~1`, `seq:7`, a tag, a CID or its beginning. */
function find({ snapshots }: Opened, selector: string): Found {
  const back = /^latest(?:~(\d{1,9}))?$/.exec(selector)
  const seq = /^seq:(\d{1,15})$/.exec(selector)
  const found =
    back !== null
      ? snapshots[Number(back[1] ?? 0)]
      : snapshots.find(({ cid, header }) => {
          if (seq !== null) return header.seq === Number(seq[1])
          const text = printCid(cid)
          const begins = selector.length >= 8 && text.startsWith(selector)
          return begins || text === selector || header.tags.includes(selector)
        })
  if (found !== undefined) return found
  throw new CairnError('not_found', `No snapshot in the CAR is "${selector}".`, {
    hint: 'Open the CAR that has it beside this one.',
  })
}

interface Seen {
  readonly view: View
  readonly totalCount: number
}

async function viewOf(opened: Opened, at: string | undefined): Promise<Seen> {
  const { context, state } = opened
  if (at === undefined) {
    const { commit, overlay } = state
    return { view: new View(overlay, momentOf(context, commit)), totalCount: commit.totalCount }
  }
  const { header } = find(opened, at)
  const overlay = new Overlay(await openTree(context, header))
  return { view: new View(overlay, header.ts), totalCount: header.live }
}

async function entitiesOf(opened: Opened, query: PageQuery): Promise<PageRecord> {
  const { at_snapshot, at_commit, at_time, ...options } = query
  if (at_commit !== undefined || at_time !== undefined) {
    throw new CairnError('usage', 'A CAR has no commits and no times to go back to.', {
      hint: 'Name one of its snapshots.',
    })
  }
  const { view, totalCount } = await viewOf(opened, at_snapshot)
  const { identity } = opened.state.commit
  const page = await listPage(view, { identity, totalCount }, options)
  return {
    items: page.items.map(entryRecord),
    total_count: page.totalCount,
    has_more: page.hasMore,
    next_cursor: page.nextCursor,
  }
}

/** Newest first: the versions in the recent chain, and below them the one in the snapshot, whose position is not known. */
async function loggedOf(
  { context, state }: Opened,
  pi: string,
  limit = HISTORY_LIMIT,
): Promise<readonly LoggedRecord[]> {
  const key = parseId(pi)
  const items: LoggedRecord[] = []
  for await (const { entry, position } of historyOf(context, state, key)) {
    items.push({ ...entryRecord(entry), position })
    if (items.length >= limit) return items
  }
  const folded = await state.overlay.tree.get(key)
  if (folded !== undefined) items.push({ ...entryRecord(folded), position: null })
  return items
}

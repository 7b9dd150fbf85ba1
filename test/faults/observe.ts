/** What a store says of itself, as another process reads it, in a form that can be compared. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { printCid } from '../../src/model/cid.ts'
import { decodeCommit } from '../../src/model/commit.ts'
import type { Entry } from '../../src/model/entry.ts'
import type { Backend } from '../../src/store/backend.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { NaiveBuilder } from '../helpers/naive-tree.ts'
import { engineOn, type Clock } from './material.ts'

export interface Seen {
  /** What is in it, as people see it. */
  readonly state: string
  /** The same with positions, generations and commits, which a second try moves on. */
  readonly exact: string
  /** The entries of each dataset, deleted ones included. */
  readonly entries: ReadonlyMap<string, readonly Entry[]>
}

const lineOf = ({ pi, ver, tip, ts, exp }: Entry): string =>
  `${pi}@${ver} ${tip === null ? 'deleted' : printCid(tip)} ${ts} ${exp}`

/** Reads all that is kept; throws at what is not there. */
export async function observe(backend: Backend, clock: Clock): Promise<Seen> {
  const cairn = engineOn(backend, clock)
  const states: unknown[] = []
  const exact: unknown[] = []
  const entries = new Map<string, readonly Entry[]>()
  for (const name of await cairn.datasets()) {
    const dataset = await cairn.dataset(name)
    const current = await all(dataset)
    entries.set(name, current)
    const { state, numbers } = await describe(dataset, current)
    states.push(state)
    exact.push(state, numbers, await commitsOf(backend, name))
  }
  return { state: JSON.stringify(states), exact: JSON.stringify(exact), entries }
}

async function all(dataset: Dataset, snapshot?: string): Promise<Entry[]> {
  const at = snapshot === undefined ? undefined : { snapshot }
  const entries: Entry[] = []
  for await (const entry of dataset.entries({ at, deleted: true })) entries.push(entry)
  return entries
}

async function describe(
  dataset: Dataset,
  current: readonly Entry[],
): Promise<{ state: unknown; numbers: unknown }> {
  const { pointer, root } = await dataset.status()
  const snapshots: unknown[] = []
  for await (const { cid, seq, live, tags, reason } of dataset.snapshots()) {
    const holds = (await all(dataset, printCid(cid))).map(lineOf)
    snapshots.push({ seq, live, tags, reason, holds })
  }
  const { totalCount, items } = await dataset.list({ limit: 1000 })
  const names = ['snapshot_seq', 'recent_count', 'total_count', 'kept_count'] as const
  const numberNames = ['next', 'chain_first', 'floor', 'next_seq', 'next_ordinal'] as const
  const state = {
    name: dataset.name,
    root,
    entries: current.map(lineOf),
    listed: [totalCount, items.length],
    snapshots,
    ...Object.fromEntries(names.map((name) => [name, pointer[name]])),
  }
  const numbers = {
    ...Object.fromEntries(numberNames.map((name) => [name, pointer[name]])),
    generation: pointer.generation.number,
    exclusive: pointer.exclusive !== null,
    history: await historyOf(dataset),
  }
  return { state, numbers }
}

async function historyOf(dataset: Dataset): Promise<unknown[]> {
  const found: unknown[] = []
  for (const pi of ['e0005', 'e0010', 'e0040', 'e0300', 'e0006'])
    for await (const { position, entry } of dataset.history(pi))
      found.push([pi, position, entry.ver])
  return found
}

/** The reasons of the kept commits, oldest first; each must be there, and follow the one before. */
async function commitsOf(backend: Backend, name: string): Promise<unknown[]> {
  const newest = await backend.newest(name, -1)
  if (newest === undefined) throw new Error(`${name} has no commit`)
  const { oldest } = decodeCommit(newest.bytes).commit
  const reasons: unknown[] = []
  let before: string | undefined
  for (let number = oldest; number <= newest.number; number++) {
    const bytes = await backend.getCommit(name, number)
    if (bytes === undefined) throw new Error(`commit ${number} of ${name} is missing`)
    const { commit, cid } = decodeCommit(bytes)
    if (commit.number !== number) throw new Error(`commit ${number} is another`)
    if (before !== undefined && commit.prev !== null && printCid(commit.prev) !== before)
      throw new Error(`commit ${number} does not follow the one before`)
    before = printCid(cid)
    reasons.push(commit.reason)
  }
  return [oldest, ...reasons]
}

/** What the engine's own check finds; and what nothing needs, where that must not be. */
export async function verified(
  backend: Backend,
  clock: Clock,
  { swept }: { swept: boolean },
): Promise<string[]> {
  const ledgerDir = await mkdtemp(join(tmpdir(), 'cairn-faults-ledger-'))
  try {
    const problems: string[] = []
    const now = (): number => clock.now
    for (const name of await backend.datasets()) {
      const mode = { kind: 'full' } as const
      const report = await verifyDataset(backend, name, { mode, ledgerDir, now })
      if (report.verdict !== 'sound')
        problems.push(
          `${name} is ${report.verdict}: ${JSON.stringify(report.problems.slice(0, 2))}`,
        )
      if (!report.whole) problems.push(`${name} could not be verified as a whole`)
      if (swept && (report.unreachable ?? 0) > 0)
        problems.push(`${report.unreachable} blocks that nothing needs stay after a prune`)
    }
    return problems
  } finally {
    await rm(ledgerDir, { recursive: true, force: true })
  }
}

/** A build now has the root that another, slow implementation of the tree makes of the same entries (promise 3). */
export async function compareRoots(cairn: Cairn): Promise<string[]> {
  const problems: string[] = []
  for (const name of await cairn.datasets()) {
    const dataset = await cairn.dataset(name)
    const root = printCid((await dataset.build({ force: true })).root)
    const { chunk_size: chunkSize, content } = (await dataset.status()).pointer.settings
    const naive = new NaiveBuilder(chunkSize, content).build(await all(dataset))
    const expected = naive.root.cid.toString()
    if (root !== expected) problems.push(`the root of ${name} is ${root}, it should be ${expected}`)
  }
  return problems
}

/** What tests of the engine share: an opened dataset with a clock of its own, and ways to look at it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn, type CairnOptions } from '../../src/cairn.ts'
import type { Dataset, DatasetOptions } from '../../src/engine/dataset.ts'
import type { InitOptions } from '../../src/engine/genesis.ts'
import { isCairnError, type CairnError, type ErrorCode } from '../../src/errors.ts'
import type { Block } from '../../src/model/cid.ts'
import { decodeCommit, encodeCommit, type Commit } from '../../src/model/commit.ts'
import type { Entry } from '../../src/model/entry.ts'
import type { Backend } from '../../src/store/backend.ts'

export const START = 1_700_000_000_000

export interface Clock {
  now: number
}

export interface Opened {
  readonly backend: Backend
  readonly cairn: Cairn
  readonly dataset: Dataset
  readonly clock: Clock
}

export interface OpenOptions {
  readonly backend?: Backend
  readonly name?: string
  readonly init?: InitOptions
  readonly options?: DatasetOptions
  readonly cairn?: CairnOptions
  readonly clock?: Clock
}

/** A dataset with external content, made if need be, on a memory store unless one is given. */
export async function openTest({
  backend = openMemory(),
  name = 'main',
  init = {},
  options = {},
  cairn: cairnOptions = {},
  clock = { now: START },
}: OpenOptions = {}): Promise<Opened> {
  const cairn = new Cairn(backend, { now: () => clock.now, ...cairnOptions })
  await cairn.init(name, { content: 'external', ...init })
  const dataset = await cairn.dataset(name, options)
  return { backend, cairn, dataset, clock }
}

/** A folder of this test's own, gone when it has finished. */
export async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-engine-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** The error that a promise ends with, which must be one of ours and help its reader. */
export async function refusal(promise: Promise<unknown>): Promise<CairnError> {
  const error = await promise.then(
    (value: unknown) => ({ resolved: value }),
    (reason: unknown) => reason,
  )
  if (!isCairnError(error))
    expect.fail(`not a coded error: ${String(error)} ${JSON.stringify(error)}`)
  expect(error.message).toMatch(/^[A-Z"].*\.$/s)
  return error
}

export async function expectRefused(
  promise: Promise<unknown>,
  code: ErrorCode,
): Promise<CairnError> {
  const error = await refusal(promise)
  expect(error.code, error.message).toBe(code)
  expect(error.hint, `the hint of: ${error.message}`).toMatch(/\S.*\.$/s)
  return error
}

export async function newestCommit(backend: Backend, dataset = 'main'): Promise<Commit> {
  const stored = await backend.newest(dataset, -1)
  if (stored === undefined) throw new Error(`no commit of ${dataset}`)
  return decodeCommit(stored.bytes).commit
}

/** Makes the next commit by hand: the newest one with other fields, right or wrong. */
export async function forgeCommit(
  backend: Backend,
  changes: Partial<Commit>,
  blocks: readonly Block[] = [],
): Promise<Commit> {
  const stored = await backend.newest('main', -1)
  if (stored === undefined) throw new Error('nothing to forge')
  const { commit, cid } = decodeCommit(stored.bytes)
  const forged = encodeCommit({ ...commit, number: commit.number + 1, prev: cid, ...changes })
  await forgeBytes(backend, forged.bytes, blocks)
  return forged.commit
}

export async function forgeBytes(
  backend: Backend,
  bytes: Uint8Array,
  blocks: readonly Block[] = [],
): Promise<void> {
  const stored = await backend.newest('main', -1)
  const outcome = await backend.commit({
    dataset: 'main',
    number: (stored?.number ?? -1) + 1,
    bytes,
    blocks: blocks.map((block) => ({ ...block, hold: 'self' })),
  })
  expect(outcome).toBe('committed')
}

/** The ids of all live entities, page by page, with `between` called between pages. */
export async function pageThrough(
  dataset: Dataset,
  limit: number,
  order: 'asc' | 'desc' = 'desc',
  between: () => Promise<void> = async () => {},
): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  for (;;) {
    const page = await dataset.list({ limit, order, cursor })
    ids.push(...page.items.map(({ pi }) => pi))
    if (page.nextCursor === null) return ids
    cursor = page.nextCursor
    await between()
  }
}

/** An entry with its tip as text, for comparing. */
export function plain(entry: Entry): Record<string, unknown> {
  return { ...entry, tip: entry.tip === null ? null : Buffer.from(entry.tip).toString('hex') }
}

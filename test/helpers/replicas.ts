/** Replicas beside their source: random histories of the source, and the proof that a copy is the same. */
import { expect } from 'vitest'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { isCairnError } from '../../src/errors.ts'
import { printCid } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { collect, plain } from './engine.ts'
import type { Random } from './random.ts'

/** One random thing that is done to a source: a write, a build, upkeep. */
export async function changeSource(dataset: Dataset, random: Random): Promise<string> {
  const kind = random.int(0, 11)
  const pi = (): string => `e${random.int(0, 400)}`
  if (kind < 5) {
    const count = random.int(1, 60)
    const ids = new Set(Array.from({ length: count }, pi))
    // Some contents come again, and some share blocks.
    await dataset.putBatch([...ids].map((one) => ({ pi: one, value: { n: random.int(0, 50) } })))
    return `put ${ids.size}`
  }
  if (kind === 5) {
    await dataset.put(pi(), Buffer.alloc(random.int(1, 3) * 700_000, random.int(0, 9)))
    return 'put a file'
  }
  if (kind === 6) {
    await dataset.append({ pi: pi(), tip: null })
    return 'delete'
  }
  if (kind < 9) {
    await dataset.build({ force: random.int(0, 3) === 0, tags: [`t${random.int(0, 3)}`] })
    return 'build'
  }
  if (kind === 9) {
    await dataset.prune({ policy: { last: random.int(1, 3) } })
    return 'prune'
  }
  const { commit } = await dataset.pointer()
  const to = random.int(commit.oldest, commit.number)
  await dataset.rollback({ commit: to }, { keepChain: random.int(0, 1) === 0 }).catch(ignoreGone)
  return `rollback to ${to}`
}

function ignoreGone(error: unknown): void {
  if (!isCairnError(error, 'not_found')) throw error
}

/** All that can be read of a dataset: entities, contents, kept snapshots, the log. */
export async function everythingOf(dataset: Dataset): Promise<Record<string, unknown>> {
  const { commit } = await dataset.pointer()
  const entries = (await collect(dataset.entries({ deleted: true }))).map(plain)
  const contents: string[] = []
  for await (const { tip } of dataset.entries()) {
    if (tip !== null && commit.settings.content === 'linked')
      contents.push(await textOf(dataset, tip))
  }
  const snapshots: unknown[] = []
  for await (const { cid, seq, tags } of dataset.snapshots()) {
    const at = { snapshot: printCid(cid) }
    const there = (await collect(dataset.entries({ at, deleted: true }))).map(plain)
    snapshots.push({ cid: printCid(cid), seq, tags, there })
  }
  const log: unknown[] = []
  for (let since: number | undefined = commit.floor; since !== undefined;) {
    const page = await dataset.log({ since, limit: 1000 })
    log.push(...page.items.map(({ position, entry }) => ({ position, ...plain(entry) })))
    since = page.items.length === 0 ? undefined : page.next
  }
  const { next, totalCount, generation } = commit
  return { next, totalCount, generation, entries, contents, snapshots, log }
}

async function textOf(dataset: Dataset, tip: Uint8Array): Promise<string> {
  const content = await dataset.content(tip)
  if (content.kind === 'value') return JSON.stringify(content.value)
  let bytes = 0
  for await (const part of content.bytes) bytes += part.length
  return `${bytes} bytes`
}

/** The replica reads as its source, is whole, and takes no writes. */
export async function expectSame(
  source: Dataset,
  backend: Backend,
  now: () => number,
): Promise<void> {
  const replica = await new Cairn(backend, { now }).dataset(source.name)
  expect(await everythingOf(replica)).toEqual(await everythingOf(source))
  const { commit } = await replica.pointer()
  expect(commit.replica).toBeDefined()
  // Each of its own commits that it says to keep can be read still.
  for (let number = commit.oldest; number <= commit.number; number++)
    await collect(replica.entries({ at: { commit: number }, deleted: true }))
}

/** Every block that what is kept reaches is there, and is what it should be. */
export async function expectSound(backend: Backend, ledgerDir: string): Promise<void> {
  const report = await verifyDataset(backend, 'main', { mode: { kind: 'full' }, ledgerDir })
  expect(report).toMatchObject({ verdict: 'sound', problems: [] })
}

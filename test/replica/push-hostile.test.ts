/** A sender that lies, falls silent or has no right: nothing of what it sends becomes current, and nothing is held. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { SyncSource } from '../../src/engine/replica/source.ts'
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import { encodeCommit, type Commit, type EncodedCommit } from '../../src/model/commit.ts'
import { checkedToken } from '../../src/remote/token.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { expectRefused, newestCommit, tempDir } from '../helpers/engine.ts'
import { cut, farSide, type FarSide } from '../helpers/far-side.ts'
import { expectProblem } from '../helpers/problem.ts'

const SYNCS = '/v1/datasets/main/syncs'
const NOBODY = '0'.repeat(32)

async function scene(options: Parameters<typeof farSide>[0] = {}) {
  const backend = openMemory()
  const cairn = new Cairn(backend)
  const { dataset } = await cairn.init('main', { chunkSize: 64 })
  await dataset.putBatch(Array.from({ length: 200 }, (_, i) => ({ pi: `e${i}`, value: { i } })))
  await dataset.build()
  const far = await farSide(options)
  return { backend, cairn, dataset, source: cairn.asSource(), far }
}

async function expectNothing(far: FarSide, work: Promise<unknown>, code: ErrorCode): Promise<void> {
  const before = await far.backend.newest('main', -1)
  await expectRefused(work, code)
  expect(await far.backend.newest('main', -1)).toEqual(before)
}

const withCommit = (
  source: SyncSource,
  changes: (commit: Commit) => Partial<Commit>,
): SyncSource => ({
  ...source,
  newest: async (...call) => {
    const stored = await source.newest(...call)
    return stored && encodeCommit({ ...stored.commit, ...changes(stored.commit) })
  },
})

test('a commit that says other than what its blocks are is refused, whatever it says', async () => {
  const { dataset, source, far } = await scene()
  await far.target().sync(source, 'main')
  await dataset.put('more', 1)
  await dataset.put('e1', 2)
  const lies: [(commit: Commit) => Partial<Commit>, ErrorCode][] = [
    [({ totalCount }) => ({ totalCount: totalCount + 1 }), 'invalid_block'],
    [
      ({ totalCount, recentCount }) => ({ totalCount: totalCount + recentCount + 1 }),
      'pointer_damaged',
    ],
    [({ snapshotCount }) => ({ snapshotCount: snapshotCount - 1 }), 'pointer_damaged'],
    [
      ({ recentCount, next }) => ({ recentCount: recentCount + 1, next: next + 1 }),
      'pointer_damaged',
    ],
    [({ chainFirst }) => ({ chainFirst: chainFirst - 1 }), 'pointer_damaged'],
    [({ snapshot, head }) => ({ snapshot: head ?? snapshot }), 'invalid_block'],
    [({ kept }) => ({ snapshot: kept }), 'invalid_block'],
    [({ head, snapshot }) => ({ kept: head ?? snapshot }), 'invalid_block'],
    [({ nextOrdinal }) => ({ nextOrdinal: nextOrdinal - 1 }), 'invalid_block'],
    [({ nextSeq, snapshotSeq }) => ({ nextSeq: Math.min(nextSeq, snapshotSeq) }), 'conflict'],
  ]
  for (const [lie, code] of lies)
    await expectNothing(far, far.target().sync(withCommit(source, lie), 'main'), code)
  expect(await far.target().sync(source, 'main')).toMatchObject({ status: 'synced' })
}, 30_000)

test('a first copy is held to the same: its kept list, its counts, its blocks', async () => {
  const { source, far } = await scene()
  const lies: [(commit: Commit) => Partial<Commit>, ErrorCode][] = [
    [({ keptCount }) => ({ keptCount: keptCount + 1 }), 'invalid_block'],
    [({ keptCount }) => ({ keptCount: keptCount - 1 }), 'invalid_block'],
    [({ totalCount }) => ({ totalCount: totalCount + 1 }), 'pointer_damaged'],
    [() => ({ nextSeq: 1 }), 'invalid_block'],
  ]
  for (const [lie, code] of lies)
    await expectNothing(far, far.target().sync(withCommit(source, lie), 'main'), code)
  for (let lacks = 0, asked = 1; lacks < asked; lacks++) {
    asked = 0
    const short: SyncSource = {
      ...source,
      getBlocks: async (...call) => {
        const blocks = await source.getBlocks(...call)
        return asked++ === lacks ? blocks.map(() => undefined) : blocks
      },
    }
    const outcome = await far
      .target()
      .sync(short, 'main')
      .catch((error: unknown) => isCairnError(error) && error.code)
    if (lacks === asked) expect(outcome).toMatchObject({ status: 'synced' })
    if (lacks === asked) break
    expect(['block_missing', 'content_missing']).toContain(outcome)
    expect(await far.backend.newest('main', -1)).toBeUndefined()
  }
}, 30_000)

test('blocks with other bytes than their CIDs say are refused on arrival', async () => {
  const { source, far } = await scene()
  const flipped: SyncSource = {
    ...source,
    getBlocks: async (...call) => {
      const blocks = await source.getBlocks(...call)
      return blocks.map((bytes) => bytes && Buffer.from(bytes).fill(7, 0, 1))
    },
  }
  await expectNothing(far, far.target().sync(flipped, 'main'), 'invalid_car')
  const torn = far.target({ body: (body) => body.subarray(0, body.length - 1) })
  await expectNothing(far, torn.sync(source, 'main'), 'invalid_car')
  const nonsense = far.target({ body: () => Buffer.from('no CAR at all') })
  await expectNothing(far, nonsense.sync(source, 'main'), 'invalid_car')
})

test('another dataset, an older state and a source that was replaced are refused', async () => {
  const { cairn, dataset, source, far } = await scene()
  const older = await source.newest('main', {})
  await dataset.put('a', 1)
  await far.target().sync(source, 'main')
  const back: SyncSource = { ...source, newest: async () => older }
  await expectNothing(far, far.target().sync(back, 'main'), 'conflict')
  // Also where it lacks nothing but a commit: a prune, which has neither entries nor snapshots.
  const now = (await source.newest('main', {})) as EncodedCommit
  const before = encodeCommit({ ...now.commit, number: now.commit.number - 1 })
  const pruned: SyncSource = { ...source, newest: async () => before }
  await expectNothing(far, far.target().sync(pruned, 'main'), 'conflict')
  const other = new Cairn(openMemory())
  await (await other.open()).put('a', 1)
  await expectNothing(far, far.target().sync(other.asSource(), 'main'), 'conflict')
  // The copy was promoted meanwhile.
  await new Cairn(far.backend).promote()
  await expectNothing(far, far.target().sync(cairn.asSource(), 'main'), 'fenced')
})

test('what was not asked for is refused, and too much of it is not even taken in', async () => {
  const { source, far } = await scene()
  const { request } = far.service()
  const post = (body: unknown) => request('POST', SYNCS, body)
  const stored = (await source.newest('main', {})) as EncodedCommit
  const commit = Buffer.from(stored.bytes).toString()
  const from = 'somebody'
  expectProblem(await post({ from, commit: '{}' }), 400, 'usage')
  expectProblem(await post({ from, commit: commit.replace('"main"', '"other"') }), 400, 'usage')
  expectProblem(await post({ from, commit: 'x'.repeat(100_000) }), 400, 'usage')
  expectProblem(await post({ commit }), 400, 'usage')
  const other = encodeCommit({ ...stored.commit, dataset: 'other' })
  expectProblem(await post({ from, commit: Buffer.from(other.bytes).toString() }), 400, 'usage')
  expectProblem(await request('GET', `${SYNCS}/${NOBODY}`), 404, 'not_found')
  expectProblem(
    await request('PUT', `${SYNCS}/${NOBODY}/1?count=1`, Buffer.from('x')),
    404,
    'not_found',
  )
  const { json } = await post({ from, commit })
  const { sync, step, cids } = json as { sync: string; step: number; cids: string[] }
  expect(json).toMatchObject({ wants: 'blocks', step: 1 })
  const put = (path: string, body: Uint8Array) => request('PUT', `${SYNCS}/${sync}/${path}`, body)
  const empty = Buffer.from('11a265726f6f7473806776657273696f6e01', 'hex')
  expectProblem(await put(`${step + 1}?count=1`, empty), 400, 'usage')
  expectProblem(await put(`${step}?count=${cids.length + 1}`, empty), 400, 'usage')
  expectProblem(await put(`${step}`, Buffer.from(commit)), 400, 'usage')
  expectProblem(await put(`${step}?count=1`, Buffer.alloc(9 << 20)), 413, 'too_large')
  // It waits still for what it has asked, and no other dataset knows it.
  expect((await request('GET', `${SYNCS}/${sync}`)).json).toEqual(json)
  expectProblem(await request('GET', `/v1/datasets/other/syncs/${sync}`), 404, 'not_found')
  expect((await request('DELETE', `${SYNCS}/${sync}`)).json).toEqual({ sync })
  expect((await request('GET', `${SYNCS}/${sync}`)).json).toMatchObject({
    report: null,
    error: { code: 'aborted' },
  })
})

test('a sender that falls silent holds nothing any more after a while, and others have their place', async () => {
  const { source, far } = await scene({ incoming: { silentMs: 300, most: 2 } })
  const stagings = async (): Promise<boolean> => {
    // A sweep begins when no staging is left.
    const sweep = await far.backend.sweep({ waitMs: 20 }).catch(() => undefined)
    await sweep?.end()
    return sweep === undefined
  }
  const silent = (): Promise<unknown> => {
    const mute = far.target({ before: (_, nth) => (nth >= 2 ? cut() : undefined), retries: 0 })
    return mute.sync(source, 'main').catch(() => undefined)
  }
  await Promise.all([silent(), silent()])
  expect(await stagings()).toBe(true)
  const third = far.target({ retries: 0 }).sync(source, 'main')
  await expectRefused(third, 'overloaded')
  while (await stagings());
  expect(await far.target().sync(source, 'main')).toMatchObject({ status: 'synced' })
})

test('only a token for everything, with the right admin, may bring a copy; and no log has it', async () => {
  const file = `${await tempDir()}/tokens.json`
  const make = async (name: string, right: 'read' | 'append' | 'admin', datasets?: string[]) =>
    (await createToken(file, { name, right, ...(datasets === undefined ? {} : { datasets }) }))
      .token
  const tokens = {
    read: await make('read', 'read'),
    append: await make('append', 'append'),
    admin: await make('admin', 'admin'),
    bound: await make('bound', 'admin', ['main']),
  }
  const { source, far } = await scene({ values: { tokens_file: file } })
  await far.service().service.cairn.init('other')
  const by = (token: string | undefined) => far.target({ token }).sync(source, 'main')
  await expectRefused(by(undefined), 'unauthenticated')
  for (const token of [tokens.read, tokens.append, tokens.bound])
    await expectRefused(by(token), 'access_denied')
  expect(await by(tokens.admin)).toMatchObject({ status: 'synced' })
  expect(await far.target({ token: tokens.read }).newest('main')).toEqual(
    await newestCommit(far.backend),
  )
  expect(JSON.stringify(far.service().lines)).not.toContain(tokens.admin)
})

test('a service that has the very store of the sender stays what it is, also before the first write', async () => {
  const far = await farSide({ init: {} })
  const same = new Cairn(far.backend).asSource()
  await expectNothing(far, far.target().sync(same, 'main'), 'conflict')
  await (await far.service().service.dataset('main')).append({ pi: 'a', tip: null })
  await expectNothing(far, far.target().sync(same, 'main'), 'conflict')
})

test('a token that is none is refused before it could be told in an error', () => {
  expect(checkedToken(' cairn_abc.DEF \n')).toBe('cairn_abc.DEF')
  expect(checkedToken('\n')).toBeUndefined()
  for (const token of ['two words', 'one\ntwo', 'schlüssel', 'x'.repeat(513)])
    expect(() => checkedToken(token)).toThrow(/^(?!.*(?:two|schl|xxx)).*is none/)
})

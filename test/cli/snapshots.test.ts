import { afterAll, beforeAll, expect, test } from 'vitest'
import { CID, ndjson, Sandbox, TIME } from './sandbox.ts'

let box: Sandbox
let first: string
let second: string
/** A moment after the first snapshot and before the second. */
let between: string

beforeAll(async () => {
  box = await Sandbox.make()
  await box.ok(['import', '-'], {
    input: '{"pi":"a","value":1}\n{"pi":"b","value":1}\n{"pi":"c","value":1}\n',
  })
  first = (
    await box.ok(['build-snapshot', '--tag', 'one', '--reason', 'test', '--meta', '{"users":3}'])
  ).trim()
  between = new Date().toISOString()
  await box.ok(['import', '-'], {
    input: '{"pi":"a","value":2}\n{"pi":"b","tip":null}\n{"pi":"d","value":1}\n',
  })
  second = (await box.ok([], { bin: 'build-snapshot' })).trim()
})

afterAll(() => box.remove())

test('build-snapshot prints the CID alone, also when nothing is new', async () => {
  expect(first).toMatch(CID)
  expect(second).toMatch(CID)
  expect(second).not.toBe(first)
  expect(await box.run(['build-snapshot', '--quiet'])).toEqual({
    code: 0,
    stdout: `${second}\n`,
    stderr: '',
  })
  expect(await box.json(['build-snapshot'])).toEqual({
    status: 'already_built',
    snapshot: second,
    root: expect.stringMatching(CID),
    seq: 2,
    ts: expect.stringMatching(TIME),
    entries: 4,
    live: 3,
    chunk_count: 1,
    folded: 0,
    chunks_written: 0,
    chunks_dropped: 0,
    blocks_written: 0,
    bytes_written: 0,
    recent_count: 0,
  })
})

test('build-snapshot --if-needed goes by the thresholds', async () => {
  const at = ['-d', 'busy', '--chain-limit', '10']
  await box.ok(['init', ...at])
  const write = async (count: number): Promise<void> => {
    const lines = Array.from({ length: count }, (_, i) => `{"pi":"${i}","value":${Math.random()}}`)
    await box.ok(['import', '-', '-d', 'busy'], { input: lines.join('\n') })
  }
  const build = ['build-snapshot', '-d', 'busy', '--if-needed']
  await write(4)
  const idle = await box.json(build)
  expect(idle).toMatchObject({ status: 'not_needed', seq: 0, recent_count: 4, folded: 0 })
  expect((await box.run(build)).stdout.trim()).toBe(idle['snapshot'])
  expect(await box.json(build, { env: { REBUILD_THRESHOLD: '3' } })).toMatchObject({
    status: 'built',
    folded: 4,
  })
  await write(8)
  const urgent = await box.run([...build, '--json'])
  expect(JSON.parse(urgent.stdout)).toMatchObject({ status: 'built', folded: 8 })
  expect(urgent.stderr).toContain('build more often')
  expect(
    ndjson(await box.ok(['snapshots', '-d', 'busy', '--json'])).map(({ reason }) => reason),
  ).toEqual(['emergency', 'threshold', 'init'])
  const beyond = ['--rebuild-threshold', '50', '--emergency-threshold', '60']
  expect(await box.fails([...build, ...beyond])).toMatchObject({ exit: 2, code: 'config' })
  expect(await box.json(['build-snapshot', '-d', 'busy', '--force'])).toMatchObject({
    status: 'built',
    folded: 0,
  })
})

test('snapshots lists them newest first', async () => {
  const listed = ndjson(await box.ok(['snapshots', '--json']))
  expect(listed.map(({ seq }) => seq)).toEqual([2, 1, 0])
  expect(listed[1]).toEqual({
    cid: first,
    seq: 1,
    ts: expect.stringMatching(TIME),
    entries: 3,
    live: 3,
    reason: 'test',
    tags: ['one'],
    current: false,
  })
  expect(listed.map(({ current }) => current)).toEqual([true, false, false])
  const rows = (await box.ok(['snapshots', '--limit', '1'])).trimEnd().split('\n')
  expect(rows).toHaveLength(1)
  expect(rows[0]?.split('\t')[3]).toBe(second)
  expect(rows[0]?.split('\t')[4]).toMatch(/^current: /)
})

test('diff tells what was added, removed and changed', async () => {
  expect(await box.ok(['diff', 'one', 'latest'])).toBe('~ a\n- b\n+ d\n')
  expect(await box.ok(['diff', second, first])).toBe('~ a\n+ b\n- d\n')
  const changes = ndjson(await box.ok(['diff', 'seq:1', '--json']))
  expect(changes[0]).toEqual({
    change: 'changed',
    pi: 'a',
    before: {
      pi: 'a',
      ver: 1,
      tip: expect.stringMatching(CID),
      ts: expect.stringMatching(TIME),
      exp: null,
    },
    after: {
      pi: 'a',
      ver: 2,
      tip: expect.stringMatching(CID),
      ts: expect.stringMatching(TIME),
      exp: null,
    },
  })
  expect(changes[1]).toMatchObject({ change: 'removed', pi: 'b', after: { tip: null } })
  expect(changes[2]).toMatchObject({ change: 'added', pi: 'd', before: null })
  expect(await box.fails(['diff', 'nothing'])).toMatchObject({ exit: 10, code: 'not_found' })
})

test('get, cat, list and export look back by time, number, selector and commit', async () => {
  expect(await box.ok(['cat', 'a'])).toBe('2\n')
  for (const moment of [
    ['--at', between],
    ['--at', String(Date.parse(between))],
    ['--seq', '1'],
    ['--snapshot', 'latest~1'],
  ]) {
    expect(await box.ok(['cat', 'a', ...moment])).toBe('1\n')
  }
  expect(await box.json(['get', 'b', '--snapshot', 'one'])).toMatchObject({ ver: 1 })
  expect(await box.json(['list', '--seq', '1'])).toMatchObject({ total_count: 3 })
  expect(await box.json(['list', '--commit', '0'])).toMatchObject({ items: [], total_count: 0 })
  expect(ndjson(await box.ok(['export', '--seq', '1'])).map(({ pi }) => pi)).toEqual([
    'a',
    'b',
    'c',
  ])
  expect(await box.fails(['get', 'a', '--seq', '99'])).toMatchObject({ exit: 10 })
  expect(await box.fails(['get', 'a', '--at', '1990-01-01T00:00:00Z'])).toMatchObject({ exit: 10 })
})

test('status has the fields of the index pointer, flat', async () => {
  const status = await box.json(['status'])
  expect(status).toMatchObject({
    latest_snapshot_cid: second,
    snapshot_seq: 2,
    snapshot_count: 3,
    snapshot_ts: expect.stringMatching(TIME),
    recent_chain_head: null,
    recent_count: 0,
    total_count: 3,
    last_updated: expect.stringMatching(TIME),
    root: expect.stringMatching(CID),
    commit: expect.stringMatching(/^bafkrei/),
    dataset: 'main',
    store: 'lmdb:./.cairn/store',
    chunk_count: 1,
    tree_bytes: expect.any(Number),
    size_bytes: expect.any(Number),
    free_bytes: expect.any(Number),
    synced: true,
    meta: { users: 3 },
    notes: [],
  })
  expect(await box.ok(['status'])).toContain(second)
})

test('rollback asks, plans, goes back, and can be undone', async () => {
  const asked = await box.fails(['rollback', 'one'])
  expect(asked).toMatchObject({ exit: 2, code: 'usage' })
  expect(asked.hint).toContain('--yes')
  expect(await box.fails(['rollback', '--yes'])).toMatchObject({ exit: 2 })
  expect(await box.fails(['rollback', 'one', '--commit', '1', '--yes'])).toMatchObject({ exit: 2 })
  await box.ok(['put', 'e', '--value', '1'])
  expect(await box.json(['rollback', 'one', '--dry-run'])).toEqual({
    status: 'planned',
    target: { snapshot: 'one', commit: null },
    keep_chain: false,
    recent_count: 1,
    total_count: 4,
    target_count: 3,
  })
  expect(await box.json(['rollback', 'one', '--yes', '--keep-chain'])).toMatchObject({
    total_count: 4,
  })
  const back = await box.json(['rollback', 'one', '--yes'])
  expect(back).toEqual({
    status: 'rolled_back',
    snapshot: first,
    seq: 1,
    generation: 3,
    undo: expect.any(Number),
    recent_count: 0,
    total_count: 3,
  })
  expect(await box.ok(['cat', 'a'])).toBe('1\n')
  await box.ok(['rollback', '--commit', String(Number(back['undo']) - 1), '--yes'])
  expect(await box.ok(['cat', 'a'])).toBe('2\n')
})

/** The pointer of the old shape: what old readers find in it, and what it does not write over. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openBackend, openCairn, type StoreOptions } from '../../src/compose.ts'
import type { Cairn } from '../../src/cairn.ts'
import { printCid } from '../../src/model/cid.ts'
import { decodeCommit } from '../../src/model/commit.ts'
import { builtDist } from '../helpers/built.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { startNodeProxy } from '../helpers/node-proxy.ts'
import { oldReader } from '../helpers/old-pointer.ts'

type Compat = NonNullable<StoreOptions['compat']>

const PATH = '/arke/index-pointer'
const MADE = 'fixtures/arke/made'
let node: KuboNode
let dist: string
const opened: Cairn[] = []

beforeAll(async () => {
  ;[node, dist] = await Promise.all([startKuboNode(), builtDist()])
}, 300_000)
afterAll(() => node.dispose())
afterEach(async () => {
  for (const cairn of opened.splice(0)) await cairn.close()
  for (const arg of ['/cairn', '/arke', '/other'])
    await askNode(node.url, 'files/rm', { arg, force: 'true' })
})

async function open(
  compat: Partial<Compat> = {},
  { url = node.url, ...more }: StoreOptions & { readonly url?: string } = {},
): Promise<Cairn> {
  const cairn = await openCairn(`kubo:${url}`, {
    compat: { shape: 'arke-v1', dataset: 'main', ...compat },
    ...more,
  })
  opened.push(cairn)
  return cairn
}

const close = async (cairn: Cairn): Promise<void> => {
  opened.splice(opened.indexOf(cairn), 1)
  await cairn.close()
}

/** One entry in a new process of Cairn, as far as the node can tell. */
async function append(pi: string, ...how: Parameters<typeof open>): Promise<void> {
  const cairn = await open(...how)
  const dataset = await cairn.open(how[0]?.dataset ?? 'main')
  await dataset.put(pi, { pi })
  await close(cairn)
}

const read = (path = PATH): Promise<string> => askNode(node.url, 'files/read', { arg: path })

async function write(text: string, path = PATH): Promise<void> {
  const body = new FormData()
  body.append('file', new Blob([text]))
  const query = new URLSearchParams({
    arg: path,
    create: 'true',
    parents: 'true',
    truncate: 'true',
  })
  const answer = await fetch(`${node.url}/api/v0/files/write?${query.toString()}`, {
    method: 'POST',
    body,
  })
  expect(answer.ok).toBe(true)
}

async function names(path: string): Promise<string[]> {
  const { Entries } = JSON.parse(await askNode(node.url, 'files/ls', { arg: path })) as {
    Entries: { Name: string }[] | null
  }
  return (Entries ?? []).map(({ Name }) => Name)
}

const newestCommit = async (dataset = 'main') => {
  const backend = await openBackend(`kubo:${node.url}`)
  const newest = await backend.newest(dataset, -1)
  await backend.close()
  return decodeCommit(newest?.bytes ?? new Uint8Array()).commit
}

const time = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')

test.each(['arke-v1', 'arke-v2'] as const)('the bytes are those that %s had', async (shape) => {
  const made = await readFile(`${MADE}/pointer-${shape.slice(-2)}.json`, 'utf8')
  // The fixture has the trigger's field last, the API before the time.
  const fields = Object.keys(JSON.parse(made) as object).toSorted()
  const cairn = await open({ shape })
  const { dataset } = await cairn.init('main')
  for (const built of [false, true, true]) {
    await dataset.putBatch([
      { pi: 'a', value: 1 },
      { pi: 'b', value: Math.random() },
    ])
    if (built) await dataset.build()
  }
  await dataset.append({ pi: 'b', tip: null })
  await close(cairn)
  const { snapshot, snapshotTs, ts, head, base } = await newestCommit()
  const cid = (of: Uint8Array | null): string | null => of && printCid(of)
  const snapshotFields = {
    snapshot_seq: 2,
    snapshot_count: 2,
    snapshot_ts: time(snapshotTs),
  }
  const expected =
    shape === 'arke-v1'
      ? {
          schema: 'arke/index-pointer@v1',
          latest_snapshot_cid: printCid(snapshot),
          ...snapshotFields,
          recent_chain_head: cid(head),
          recent_count: 1,
          total_count: 1,
          last_updated: time(ts),
        }
      : {
          schema: 'arke/index-pointer@v2',
          event_head: cid(head),
          event_count: 7,
          latest_snapshot_cid: printCid(snapshot),
          snapshot_event_cid: cid(base),
          ...snapshotFields,
          total_count: 1,
          last_snapshot_trigger: null,
          last_updated: time(ts),
        }
  const text = await read()
  const [, check] = /,\n {2}"check": "([0-9a-f]{16})"\n}\n$/.exec(text) ?? []
  const whole = { ...expected, written_by: 'cairn', dataset: 'main', check }
  expect(text).toBe(`${JSON.stringify(whole, null, 2)}\n`)
  expect(oldReader(shape, text)).toEqual(expected)
  expect(Object.keys(expected).toSorted()).toEqual(fields)
})

test.each(['arke-v1', 'arke-v2'] as const)(
  'what was never built has no snapshot, and after a build the events go on (%s)',
  async (shape) => {
    await (await open({ shape })).open('main')
    await append('a', { shape })
    const before = oldReader(shape, await read())
    expect(before).toMatchObject({
      latest_snapshot_cid: null,
      snapshot_seq: 0,
      snapshot_count: 0,
      snapshot_ts: null,
      total_count: 1,
    })
    const cairn = await open({ shape })
    await (await cairn.dataset('main')).build()
    await close(cairn)
    const after = oldReader(shape, await read())
    const head = before[shape === 'arke-v1' ? 'recent_chain_head' : 'event_head']
    expect(head).toEqual(expect.any(String))
    expect(after).toMatchObject(
      shape === 'arke-v1'
        ? { recent_chain_head: null, recent_count: 0, snapshot_seq: 1 }
        : { event_head: head, snapshot_event_cid: head, event_count: 1, snapshot_seq: 1 },
    )
  },
)

test('opening brings up to date what was left behind, and leaves nothing else on the node', async () => {
  const pins = async (): Promise<unknown> =>
    JSON.parse(await askNode(node.url, 'pin/ls', { type: 'all' }))
  for (const count of [1, 2]) {
    const plain = await openCairn(`kubo:${node.url}`)
    opened.push(plain)
    await (await plain.open('main')).put(`e-${count}`, count)
    await close(plain)
    const before = await pins()
    await close(await open())
    expect(JSON.parse(await read())).toMatchObject({ total_count: count })
    expect(await pins()).toEqual(before)
    expect(await names('/cairn/intents')).toEqual([])
    await askNode(node.url, 'repo/gc')
    expect(JSON.parse(await read())).toMatchObject({ total_count: count })
  }
})

const FOREIGN = ['pointer-v1.json', 'pointer-v1-trigger.json', 'pointer-v2.json']

test.each([...FOREIGN, 'no JSON', '', '{"written_by":"cairn","dataset":"main"}', '[]', 'null'])(
  'what another program wrote stays as it is (%s)',
  async (name) => {
    const text = FOREIGN.includes(name) ? await readFile(`${MADE}/${name}`, 'utf8') : name
    await write(text)
    const refused = { code: 'conflict', hint: expect.stringContaining('--compat-force') }
    await expect(open()).rejects.toMatchObject(refused)
    // With a dataset there, too.
    await append('a', { path: '/other/pointer' })
    await expect(open()).rejects.toMatchObject(refused)
    expect(await read()).toBe(text)
  },
)

test('an old program that changes the pointer is noticed, though it keeps the fields it does not know', async () => {
  await append('a')
  const pointer = JSON.parse(await read()) as Record<string, unknown>
  const changed = JSON.stringify({ ...pointer, recent_count: 7, recent_chain_head: null })
  await write(changed)
  await expect(open()).rejects.toMatchObject({ code: 'conflict' })
  expect(await read()).toBe(changed)
  // Written anew without a change, in another layout, it is still ours.
  await write(JSON.stringify(pointer))
  await append('b')
  expect(JSON.parse(await read())).toMatchObject({ total_count: 2 })
})

test('a program that writes while Cairn runs is not written over; it is told, and the next opening fails', async () => {
  const errors: unknown[] = []
  const cairn = await open({}, { onBackgroundError: (error) => errors.push(error) })
  const dataset = await cairn.open('main')
  await dataset.put('a', 1)
  await expect.poll(() => read().catch(() => ''), { timeout: 5000 }).toContain('"total_count": 1')
  await write('theirs')
  await dataset.put('b', 1)
  await close(cairn)
  expect(await read()).toBe('theirs')
  expect(errors).toMatchObject([{ code: 'conflict' }])
  await expect(open()).rejects.toMatchObject({ code: 'conflict' })
})

test('force replaces once, and keeps what was there beside it', async () => {
  await write('theirs')
  const force = true
  // Before there is a dataset there is nothing to put in its place.
  await close(await open({ force }))
  expect(await read()).toBe('theirs')
  await append('a', { force })
  expect(JSON.parse(await read())).toMatchObject({ total_count: 1 })
  expect(await read(`${PATH}.before-cairn`)).toBe('theirs')
  await write('theirs')
  await close(await open({ force }))
  expect(await names('/arke')).toEqual(['index-pointer', 'index-pointer.before-cairn'])
  await write('theirs, later')
  const errors: unknown[] = []
  const cairn = await open({ force }, { onBackgroundError: (error) => errors.push(error) })
  expect(await read(`${PATH}.before-cairn-2`)).toBe('theirs, later')
  await write('theirs, again')
  await (await cairn.open('main')).put('b', 1)
  await close(cairn)
  expect(await read()).toBe('theirs, again')
  expect(errors).toMatchObject([{ code: 'conflict' }])
})

test('only one dataset has the path, also when two begin at once', async () => {
  const plain = await openCairn(`kubo:${node.url}`)
  opened.push(plain)
  for (const name of ['one', 'two']) await plain.open(name)
  for (let round = 0; round < 10; round++) {
    const path = `/other/round-${round}`
    const tries = ['one', 'two', 'one', 'two'].map((dataset) => open({ dataset, path }))
    const outcomes = await Promise.allSettled(tries)
    const { dataset } = JSON.parse(await read(path)) as { dataset: string }
    expect(outcomes.map(({ status }) => status)).toEqual(
      ['one', 'two', 'one', 'two'].map((name) => (name === dataset ? 'fulfilled' : 'rejected')),
    )
    for (const one of outcomes) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'conflict' })
    }
  }
  await append('a', { dataset: 'one' })
  await expect(open({ dataset: 'two' })).rejects.toThrow('dataset one')
  await append('b', { dataset: 'two', force: true })
  expect(JSON.parse(await read())).toMatchObject({ dataset: 'two' })
})

test('a copy that comes late, with an older commit, does not have the last word', async () => {
  await append('a')
  let hold = Promise.resolve()
  let arrived = (): void => {}
  await using proxy = await startNodeProxy(node.url, async (call) => {
    if (call === `files/write ${PATH}`) {
      arrived()
      await hold
    }
    return 'pass' as const
  })
  const late = await open({}, { url: proxy.url })
  let letGo = (): void => {}
  hold = new Promise((resolve) => (letGo = resolve))
  const held = new Promise<void>((resolve) => (arrived = resolve))
  await (await late.dataset('main')).put('b', 1)
  await held
  await append('c')
  expect(JSON.parse(await read())).toMatchObject({ total_count: 3 })
  letGo()
  await close(late)
  const writes = proxy.seen.filter((call) => call === `files/write ${PATH}`)
  expect(writes.length).toBeGreaterThan(1)
  expect(JSON.parse(await read())).toMatchObject({ total_count: 3 })
})

test('a node that does not answer in the midst of it leaves nothing that the next opening does not mend', async () => {
  await append('a', { path: '/other/pointer' })
  let fate: 'lose' | 'mute' = 'mute'
  await using proxy = await startNodeProxy(node.url, (call) =>
    /^files\/(cp \/ipfs\/\S+|write) \/arke\/index-pointer$/.test(call) ? fate : 'pass',
  )
  const broken = (force: boolean): Promise<Cairn> => open({ force }, { url: proxy.url })
  // It took the name, and nobody was told.
  await expect(broken(false)).rejects.toMatchObject({ code: 'backend_unavailable' })
  expect(JSON.parse(await read())).toMatchObject({ total_count: 1 })
  await append('b')
  expect(JSON.parse(await read())).toMatchObject({ total_count: 2 })
  // It kept a copy, and what was to replace it never came.
  await write('theirs')
  fate = 'lose'
  await expect(broken(true)).rejects.toMatchObject({ code: 'backend_unavailable' })
  expect(await read()).toBe('theirs')
  await close(await open({ force: true }))
  expect(await names('/arke')).toEqual(['index-pointer', 'index-pointer.before-cairn'])
  expect(await read(`${PATH}.before-cairn`)).toBe('theirs')
  expect(JSON.parse(await read())).toMatchObject({ total_count: 2 })
})

const WRITER = `
const [dist, store, name] = process.argv.slice(1)
const { openCairn } = await import(dist)
const cairn = await openCairn(store, {
  compat: { shape: 'arke-v2', dataset: 'main' },
  onBackgroundError: (error) => console.error(error.message),
})
const dataset = await cairn.open('main')
for (let i = 0; i < 40; i++) await dataset.put(name + i, i)
await cairn.close()
`

test('of two processes the one with the older commit does not have the last word', async () => {
  const library = pathToFileURL(`${dist}/index.js`).href
  const run = async (name: string): Promise<string> => {
    const args = ['--input-type=module', '-e', WRITER, library, `kubo:${node.url}`, name]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const [errors] = await Promise.all([textOf(child.stderr), once(child, 'exit')])
    return errors
  }
  expect(await Promise.all(['x', 'y'].map(run))).toEqual(['', ''])
  const { number, ts } = await newestCommit()
  expect(number).toBeGreaterThan(10)
  expect(JSON.parse(await read())).toMatchObject({
    total_count: 80,
    event_count: 80,
    last_updated: time(ts),
  })
}, 60_000)

test('of one path for both the compatible pointer has it, the mirror its own', async () => {
  const more = { indexPointerPath: PATH }
  const plain = await openCairn(`kubo:${node.url}`, more)
  opened.push(plain)
  await (await plain.open('main')).put('a', 1)
  await close(plain)
  expect(JSON.parse(await read())).toMatchObject({ schema: 'cairn/commit@v1', total_count: 1 })
  await append('b', { path: PATH }, more)
  expect(JSON.parse(await read())).toMatchObject({
    schema: 'arke/index-pointer@v1',
    total_count: 2,
  })
  expect(JSON.parse(await read('/cairn/datasets/main/index-pointer'))).toMatchObject({
    schema: 'cairn/commit@v1',
    total_count: 2,
  })
})

test('a store that is no node, and a path that cannot be, are refused', async () => {
  const compat: Compat = { shape: 'arke-v1', dataset: 'main' }
  for (const store of ['memory:', 'lmdb:/nowhere/at/all', 'car:some.car'])
    await expect(openBackend(store, { compat })).rejects.toMatchObject({ code: 'usage' })
  const bad = ['', '/', 'arke/pointer', '/arke/', '/arke//p', '/a/../cairn/x', '/cairn/leases/x']
  for (const path of bad) await expect(open({ path })).rejects.toMatchObject({ code: 'config' })
})

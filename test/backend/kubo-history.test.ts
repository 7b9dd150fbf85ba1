/** Where commits lie in MFS, what a prune may do there, and the mirror for other tools. */
import { randomBytes } from 'node:crypto'
import { create } from 'kubo-rpc-client'
import { CID } from 'multiformats/cid'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openKubo, type KuboOptions } from '../../src/backend/kubo/index.ts'
import { cborBlock, printCid, rawCidOf } from '../../src/model/cid.ts'
import type { Backend, CommitRequest } from '../../src/store/backend.ts'
import { askNode, closing, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { startNodeProxy, type Fate, type NodeProxy } from '../helpers/node-proxy.ts'

let node: KuboNode
const cleanups: (() => Promise<void>)[] = []

beforeAll(async () => {
  node = await startKuboNode()
}, 60_000)
afterAll(() => node.dispose())
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
})

async function open(url: string, more: Partial<KuboOptions> = {}): Promise<Backend> {
  const backend = await openKubo({ url, ...more })
  cleanups.push(() => backend.close())
  return backend
}

async function openThrough(
  ...args: Parameters<typeof startNodeProxy>
): Promise<[Backend, NodeProxy]> {
  const proxy = await startNodeProxy(...args)
  cleanups.push(() => proxy.close())
  return [await open(proxy.url), proxy]
}

function request(number: number, prev: Uint8Array | undefined): CommitRequest {
  const chained = prev === undefined ? {} : { prev: printCid(rawCidOf(prev)) }
  const bytes = Buffer.from(JSON.stringify({ ...chained, nonce: randomBytes(8).toString('hex') }))
  return { dataset: 'main', number, bytes, blocks: [] }
}

/** A chain of commits, each with the CID of the one before. */
async function commitChain(backend: Backend, count: number): Promise<CommitRequest[]> {
  const made: CommitRequest[] = []
  for (let number = 0; number < count; number++) {
    const next = request(number, made.at(-1)?.bytes)
    expect(await backend.commit(next)).toBe('committed')
    made.push(next)
  }
  return made
}

const directory = (number: number): string =>
  `/cairn/datasets/main/${String(number).padStart(8, '0')}`
const prune = (number: number): Promise<string> =>
  askNode(node.url, 'files/rm', { arg: directory(number), recursive: 'true' })

test('commits lie 256 to a directory under zero-padded names, as another client reads them', async () => {
  const backend = await open(node.url)
  const made = await commitChain(backend, 258)
  const client = create({ url: node.url })
  const names: string[] = []
  for await (const { name } of client.files.ls('/cairn/datasets/main/00000000')) names.push(name)
  expect(names).toHaveLength(256)
  expect(names.toSorted()[255]).toBe('0000000255')
  const chunks: Uint8Array[] = []
  for await (const chunk of client.files.read('/cairn/datasets/main/00000001/0000000257')) {
    chunks.push(chunk)
  }
  expect(Buffer.concat(chunks)).toEqual(made[257]?.bytes)
})

test('another client reads the blocks of a commit, and finds them pinned', async () => {
  const backend = await open(node.url)
  const block = { ...cborBlock(Buffer.from([0xa0])), hold: 'deep' as const }
  await backend.commit({ ...request(0, undefined), blocks: [block] })
  const client = create({ url: node.url })
  const cid = CID.decode(block.cid)
  expect((await client.dag.get(cid)).value).toEqual({})
  const pins: string[] = []
  for await (const pin of client.pin.ls({ type: 'recursive' })) pins.push(pin.cid.toString())
  expect(pins).toContain(printCid(block.cid))
})

test('`newest` takes one call where nothing is new, and crosses into the next directory', async () => {
  const made = await commitChain(await open(node.url), 260)
  // One that has committed nothing: nothing goes on in its background.
  const [backend, proxy] = await openThrough(node.url, () => 'pass')
  expect(await backend.newest('main', 259)).toBeUndefined()
  proxy.seen.length = 0
  expect(await backend.newest('main', 259)).toBeUndefined()
  expect(proxy.seen).toEqual(['files/ls /cairn/datasets/main/00000001'])
  for (const than of [254, 255, 256]) {
    expect(await backend.newest('main', than)).toEqual({ number: 259, bytes: made[259]?.bytes })
  }
})

test('the last number of a directory is the newest until the next one has a commit', async () => {
  const backend = await open(node.url)
  await commitChain(backend, 256)
  expect(await backend.newest('main', 255)).toBeUndefined()
  await askNode(node.url, 'files/mkdir', { arg: directory(1) })
  expect(await backend.newest('main', 255)).toBeUndefined()
  expect((await backend.newest('main', 254))?.number).toBe(255)
})

test('pruned directories are gone for readers, and their numbers are not given again', async () => {
  const backend = await open(node.url)
  const made = await commitChain(backend, 515)
  await prune(0)
  expect(await backend.oldest('main')).toBe(256)
  expect(await backend.getCommit('main', 3)).toBeUndefined()
  expect((await backend.newest('main', 3))?.number).toBe(514)
  for (const number of [0, 5, 255]) {
    expect(await backend.commit(request(number, undefined))).toBe('forgotten')
    expect(await backend.commit(made[number] as CommitRequest)).toBe('forgotten')
  }
  expect(await backend.commit(request(520, undefined))).toBe('conflict')
  const left = await askNode(node.url, 'files/ls', { arg: '/cairn/datasets/main' })
  expect(left).not.toContain('"00000000"')
  expect(await backend.commit(request(515, made[514]?.bytes))).toBe('committed')
})

test('who lists directories that are pruned before they are read looks again', async () => {
  const [first] = await commitChain(await open(node.url), 1)
  const later = randomBytes(20)
  const move = async (): Promise<void> => {
    await askNode(node.url, 'files/mkdir', { arg: directory(2), parents: 'true' })
    await askNode(node.url, 'files/cp', [
      ['arg', `/ipfs/${printCid(Uint8Array.from([1, 0x55, 0, later.length, ...later]))}`],
      ['arg', `${directory(2)}/0000000512`],
    ])
    await prune(0)
  }
  for (const ask of ['newest', 'oldest', 'datasets'] as const) {
    let moved = false
    const [backend] = await openThrough(node.url, async (call): Promise<Fate> => {
      if (call === `files/ls ${directory(0)}` && !moved) {
        moved = true
        await move()
      }
      return 'pass'
    })
    if (ask === 'newest') expect(await backend.newest('main', -1)).toMatchObject({ number: 512 })
    else if (ask === 'oldest') expect(await backend.oldest('main')).toBe(512)
    else expect(await backend.datasets()).toEqual(['main'])
    expect(moved).toBe(true)
    await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
    await (await open(node.url)).commit({ ...request(0, undefined), bytes: first?.bytes ?? later })
  }
})

test('a commit built on another commit than the one that is there now is refused', async () => {
  const backend = await open(node.url)
  const [, forgotten] = await commitChain(backend, 2)
  // A node that was killed before a commit that readers had seen was on disk; or another repository.
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true', recursive: 'true' })
  const made = await commitChain(backend, 2)
  await expect(backend.commit(request(2, forgotten?.bytes))).rejects.toMatchObject({
    code: 'store_changed',
  })
  expect((await backend.newest('main', -1))?.number).toBe(1)
  expect(await backend.commit(request(2, made[1]?.bytes))).toBe('committed')
})

test('a commit that sleeps while its directory is pruned is not made', async () => {
  const writer = await open(node.url)
  const made = await commitChain(writer, 5)
  let wake = (): void => {}
  const woken = new Promise<void>((resolve) => {
    wake = resolve
  })
  let sleep = (): void => {}
  const asleep = new Promise<void>((resolve) => {
    sleep = resolve
  })
  const [sleeper] = await openThrough(node.url, async (call): Promise<Fate> => {
    if (!call.startsWith('files/cp')) return 'pass' as const
    sleep()
    await woken
    return 'pass' as const
  })
  const late = sleeper.commit(request(5, made[4]?.bytes))
  await asleep
  await prune(0)
  wake()
  expect(await late).toBe('forgotten')
})

test('a commit that was put where a pruned one had been is not acknowledged', async () => {
  const writer = await open(node.url)
  const made = await commitChain(writer, 515)
  await prune(0)
  // As a writer that slept since commit 4 would find it, were the directory there again.
  const base = `${directory(0)}/0000000004`
  await askNode(node.url, 'files/mkdir', { arg: directory(0) })
  const cid = printCid(rawCidOf(made[4]?.bytes ?? new Uint8Array()))
  await writer.commit({
    ...request(0, undefined),
    dataset: 'other',
    bytes: made[4]?.bytes as Buffer,
  })
  await askNode(node.url, 'files/cp', [
    ['arg', `/ipfs/${cid}`],
    ['arg', base],
  ])
  await expect(writer.commit(request(5, made[4]?.bytes))).rejects.toMatchObject({
    code: 'commit_unknown',
  })
})

test('an old commit that is made again is proved by the chain that was built on it', async () => {
  const backend = await open(node.url)
  const made = await commitChain(backend, 515)
  expect(await backend.commit(made[200] as CommitRequest)).toBe('committed')
})

test('of many writers with backends of their own exactly one gets each number', async () => {
  const writers = await Promise.all(Array.from({ length: 6 }, () => open(node.url)))
  for (let number = 0; number < 25; number++) {
    const requests = writers.map(() => request(number, undefined))
    const outcomes = await Promise.all(
      writers.map((writer, i) => writer.commit(requests[i] as CommitRequest)),
    )
    expect(outcomes.filter((outcome) => outcome === 'committed')).toHaveLength(1)
    const winner = requests[outcomes.indexOf('committed')]
    expect(await writers[0]?.getCommit('main', number)).toEqual(winner?.bytes)
  }
})

test('names of other people in the folders of Cairn do no harm', async () => {
  const backend = await open(node.url)
  await commitChain(backend, 3)
  for (const path of ['/notes', '/00000000/readme', '/99']) {
    await askNode(node.url, 'files/mkdir', { arg: `/cairn/datasets/main${path}` })
  }
  await askNode(node.url, 'files/mkdir', { arg: '/cairn/datasets/Not a dataset' })
  expect((await backend.newest('main', -1))?.number).toBe(2)
  expect(await backend.oldest('main')).toBe(0)
  expect(await backend.datasets()).toEqual(['main'])
})

test.each([
  [undefined, '/cairn/datasets/main/index-pointer'],
  ['/arke/{dataset}/pointer', '/arke/main/pointer'],
])('the newest commit is mirrored (%s)', async (indexPointerPath, path) => {
  const backend = await open(node.url, { indexPointerPath })
  const made = await commitChain(backend, 20)
  await backend.close()
  expect(await askNode(node.url, 'files/read', { arg: path })).toBe(String(made[19]?.bytes))
})

test('a mirror that cannot be written fails no commit, and says so', async () => {
  await askNode(node.url, 'files/rm', { arg: '/block', force: 'true' })
  const errors: unknown[] = []
  const backend = await open(node.url, {
    indexPointerPath: '/cairn/datasets/main/00000000/0000000000/below-a-file',
    onBackgroundError: (error) => errors.push(error),
  })
  await commitChain(backend, 1)
  await backend.close()
  expect(errors).toHaveLength(1)
})

test('status tells the version, the size, and that blocks are not synced', async () => {
  const backend = await open(node.url)
  const status = await backend.status()
  expect(status).toMatchObject({ synced: false, details: { version: '0.43.0', collecting: false } })
  expect(status.sizeBytes).toBeGreaterThan(0)
  expect(status.freeBytes).toBeGreaterThan(0)
  expect(status.notes.join()).toContain('power cut')
})

test('a node that syncs, and lets in only who has a token, says so', async () => {
  const authorizations = {
    cairn: { AuthSecret: 'bearer:s3cret', AllowedPaths: ['/api/v0'] },
    reader: { AuthSecret: 'basic:ann:pass', AllowedPaths: ['/api/v0/version', '/api/v0/files/ls'] },
  }
  await using guarded = await startKuboNode({ sync: true, authorizations })
  await expect(openKubo({ url: guarded.url })).rejects.toMatchObject({ code: 'access_denied' })
  await using full = closing(await openKubo({ url: guarded.url, token: 'bearer:s3cret' }))
  expect((await full.status()).synced).toBe(true)
  await commitChain(full, 1)
  const url = guarded.url.replace('http://', 'http://ann:pass@')
  await using reader = closing(await openKubo({ url }))
  expect(await reader.datasets()).toEqual(['main'])
  expect((await reader.status()).synced).toBeUndefined()
  await expect(reader.commit(request(1, undefined))).rejects.toMatchObject({
    code: 'access_denied',
  })
})

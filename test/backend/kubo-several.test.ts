/** What several processes on one node, and its owner, could do to each other. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createClient } from '../../src/backend/kubo/client.ts'
import { createMfs } from '../../src/backend/kubo/mfs.ts'
import { createRpc } from '../../src/backend/kubo/rpc.ts'
import { CairnError, isCairnError } from '../../src/errors.ts'
import { printCid } from '../../src/model/cid.ts'
import type { HeldBlock } from '../../src/store/backend.ts'
import { leaf, linking, request } from '../helpers/kubo-blocks.ts'
import { HOUR, heldBefore, nodeOfTests, pinned, put, sweep } from '../helpers/kubo-holds.ts'
import { askNode } from '../helpers/kubo-node.ts'
import type { Fate } from '../helpers/node-proxy.ts'

const node = nodeOfTests()
const { open, openThrough } = node
const MINUTE = 60_000

/** Something to wait for and to let go. */
function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let pass = (): void => {}
  const passed = new Promise<void>((resolve) => (pass = resolve))
  return { passed, open: () => pass() }
}

const isPinned = async (cid: Uint8Array): Promise<boolean> =>
  askNode(node.url, 'pin/ls', { arg: printCid(cid), type: 'recursive' }).then(
    () => true,
    () => false,
  )

test('a writer that is cut off takes no pin with it on which the commit of another relies', async () => {
  // So many that the node takes its time to walk them.
  const content = Array.from({ length: 4_000 }, leaf)
  const deep = linking('deep', ...content)
  const mayImport = gate()
  const [late, proxy] = await openThrough(async (call): Promise<Fate> => {
    if (call.startsWith('dag/import')) await mayImport.passed
    return 'pass'
  })
  const cut = new AbortController()
  const second = await late.stage('main', 'a build')
  await second.put([...content.map((one): HeldBlock => ({ ...one, hold: 'under' })), deep])
  const flushing = second.flush({ signal: cut.signal }).catch((error: unknown) => error)
  while (!proxy.seen.some((call) => call.startsWith('dag/import'))) await sleep(10)

  const early = await open()
  const first = await early.stage('main', 'a build')
  await put(first, [deep], content)
  expect(await early.commit(request(0, { staging: first }))).toBe('committed')
  await first.end('committed')

  let ended = false
  void flushing.then(() => (ended = true))
  mayImport.open()
  // Kubo drops a pin before it makes it again: it would be gone while the node walks.
  while (!ended && (await isPinned(deep.cid)));
  cut.abort()
  await flushing
  await second.end('dropped')
  await early.compact()
  expect(await early.hasBlocks([deep.cid, content[7]?.cid ?? deep.cid])).toEqual([true, true])
})

test('a pin of the owner’s on one block alone is no less after a staging and a prune', async () => {
  const deep = linking('deep')
  await heldBefore(node.url, [{ ...deep, hold: 'self' }])
  await askNode(node.url, 'pin/rm', { arg: printCid(deep.cid), recursive: 'false' })
  const own = { arg: printCid(deep.cid), name: 'mine', recursive: 'false' }
  await askNode(node.url, 'pin/add', own)
  const writer = await open()
  const staging = await writer.stage('main', 'a build')
  await put(staging, [deep], [])
  await staging.end('dropped')
  await writer.close()
  await sweep(await node.later(2), [], [{ cid: deep.cid, hold: 'deep' }])
  const pins = await askNode(node.url, 'pin/ls', { arg: printCid(deep.cid), names: 'true' })
  expect(pins).toContain('mine')
})

test('a commit that waits for its turn until its staging is void is not made', async () => {
  let now = Date.now()
  const mayLease = gate()
  const [writer, proxy] = await openThrough(
    async (call): Promise<Fate> => {
      if (/^files.cp .* .cairn.leases/.test(call)) await mayLease.passed
      return 'pass'
    },
    { now: () => now },
  )
  expect(await writer.commit(request(0))).toBe('committed')
  const staging = await writer.stage('main', 'a build')
  await put(staging, [linking('deep')], [])
  const leasing = writer.lease('a reader')
  while (!proxy.seen.some((call) => call.includes('/cairn/leases'))) await sleep(10)
  const imports = (): number => proxy.seen.filter((call) => call.startsWith('dag/import')).length
  const before = imports()
  const committing = writer.commit(request(1, { staging })).catch((error: unknown) => error)
  while (imports() === before) await sleep(10)
  // All that is asked before it waits has been asked.
  await sleep(200)
  now += HOUR + 5 * MINUTE
  const other = await open({ now: () => now })
  expect(await sweep(other, [])).toBe(1)
  mayLease.open()
  expect(isCairnError(await committing, 'conflict')).toBe(true)
  expect(await other.newest('main', 0)).toBeUndefined()
  await (await leasing).release()
})

test('what others rely on is never written into an open file, but put in place whole', async () => {
  const [backend, proxy] = await openThrough(() => 'pass')
  const many = Array.from({ length: 20 }, () => linking('self'))
  const lease = await backend.lease('a reader '.repeat(30))
  const staging = await backend.stage('main', 'a build')
  await put(staging, [linking('deep')], [])
  await backend.commit(request(0, { staging, blocks: many }))
  await staging.end('committed')
  expect(await backend.leases()).toHaveLength(1)
  await lease.release()
  expect(
    await sweep(
      backend,
      [],
      many.map(({ cid }) => ({ cid, hold: 'self' })),
    ),
  ).toBe(21)
  await backend.close()
  const written = proxy.seen.filter((call) => call.startsWith('files/write'))
  expect([...new Set(written)]).toEqual(['files/write /cairn/datasets/main/index-pointer'])
  expect(proxy.seen.some((call) => call.includes('/cairn/condemned'))).toBe(true)
})

test('a small file is there, whatever is collected while it is put in place', async () => {
  let collected = 0
  const [backend] = await openThrough(async (call): Promise<Fate> => {
    if (/^files.cp .* .cairn.leases/.test(call) && collected++ < 2)
      await askNode(node.url, 'repo/gc')
    return 'pass'
  })
  const note = 'a reader '.repeat(30)
  const lease = await backend.lease(note)
  // Once the block was gone, once the directory was not there yet.
  expect(collected).toBe(3)
  expect(await (await open()).leases()).toEqual([note])
  const held = await askNode(node.url, 'pin/ls')
  await lease.release()
  expect(held).toBe('{}\n')
})

test('more files are removed than a request can name', async () => {
  const rpc = createRpc(new URL(node.url), undefined)
  const mfs = createMfs(createClient(rpc, { readMs: 30_000, writeMs: 30_000, retryMs: 0 }))
  await mfs.put('/cairn/leases/last', Buffer.from('x'))
  const paths = Array.from({ length: 10_100 }, (_, i) => `/cairn/leases/none-${i}`)
  await mfs.remove([...paths, '/cairn/leases/last'])
  expect(await mfs.list('/cairn/leases')).toEqual([])
  rpc.close()
})

test('a sweep whose end is in doubt asks the node, also where another of its requests is the one that failed', async () => {
  const cut = new AbortController()
  const second = gate()
  let requests = 0
  const [sweeper, proxy] = await openThrough(async (call): Promise<Fate> => {
    if (!call.startsWith('pin/rm')) return 'pass'
    const isSecond = ++requests === 2
    if (isSecond) {
      second.open()
      cut.abort()
      await sleep(50)
    }
    await second.passed
    return isSecond ? 'mute' : 'pass'
  })
  const many = Array.from({ length: 200 }, () => linking('deep'))
  await heldBefore(node.url, many)
  const one = await sweeper.sweep({ waitMs: 0 })
  await one.offer(many.map(({ cid }) => ({ cid, hold: 'deep' })))
  await expect(one.free({ signal: cut.signal })).rejects.toBeInstanceOf(CairnError)
  expect(proxy.seen).toContain('diag/cmds')
  await one.end()
  expect((await pinned(node.url, many)).every(Boolean)).toBe(false)
})

/** What is pinned, and what a garbage collection leaves. */
import { expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { isCairnError } from '../../src/errors.ts'
import { cborBlock, printCid, type Block } from '../../src/model/cid.ts'
import type { Backend, HeldBlock } from '../../src/store/backend.ts'
import { leaf, linking, pinsOf, request } from '../helpers/kubo-blocks.ts'
import { askNode, startKuboNode } from '../helpers/kubo-node.ts'
import { nodeOfTests } from '../helpers/kubo-holds.ts'

const node = nodeOfTests()
const { open, openThrough } = node

const collect = (): Promise<string> => askNode(node.url, 'repo/gc')

async function expectAll(backend: Backend, blocks: readonly Block[]): Promise<void> {
  const found = await backend.getBlocks(blocks.map(({ cid }) => cid))
  expect(found.map((bytes) => bytes && Buffer.from(bytes).toString('hex'))).toEqual(
    blocks.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
  )
}

test('a commit pins its deep blocks recursively and the others directly, once', async () => {
  const backend = await open()
  const content = [leaf(), leaf()]
  const deep = linking('deep', ...content)
  const alone = linking('self', leaf())
  expect(await backend.commit(request(0, { blocks: [deep, alone], content }))).toBe('committed')
  expect(await pinsOf(node.url, 'recursive')).toContain(printCid(deep.cid))
  expect(await pinsOf(node.url, 'direct')).toContain(printCid(alone.cid))
  expect(await pinsOf(node.url, 'direct')).not.toContain(printCid(deep.cid))
  await collect()
  await expectAll(backend, [deep, alone, ...content])
})

test('what is pinned is not pinned again: a pin of the node’s owner keeps its name', async () => {
  const backend = await open()
  const [deep, alone] = [linking('deep'), linking('self')]
  const staging = await backend.stage('main', 'a build')
  await staging.put([deep, alone])
  await staging.flush()
  await askNode(node.url, 'pin/add', { arg: printCid(deep.cid), name: 'mine' })
  await askNode(node.url, 'pin/add', { arg: printCid(alone.cid), name: 'too', recursive: 'false' })
  expect(await backend.commit(request(0, { blocks: [deep, alone] }))).toBe('committed')
  await staging.end('committed')
  const named = JSON.parse(await askNode(node.url, 'pin/ls', { names: 'true' })) as {
    Keys: Record<string, { Name?: string }>
  }
  expect(named.Keys[printCid(deep.cid)]?.Name).toBe('mine')
  expect(named.Keys[printCid(alone.cid)]?.Name).toBe('too')
})

test('a block that is held alone stays held deep where it was', async () => {
  const backend = await open()
  const block = linking('deep')
  await backend.commit(request(0, { blocks: [block] }))
  await backend.commit(request(1, { blocks: [{ ...block, hold: 'self' }] }))
  expect(await pinsOf(node.url, 'recursive')).toContain(printCid(block.cid))
})

test('what is staged outlives a collection, before the commit and between its batches', async () => {
  const backend = await open()
  const content = leaf()
  const staging = await backend.stage('main', 'a build')
  const first = [linking('deep'), linking('self', content)]
  await staging.put(first)
  await staging.flush()
  await collect()
  const second = [linking('deep'), linking('self')]
  await staging.put(second)
  await staging.flush()
  await collect()
  await expectAll(backend, [...first, ...second])
  await staging.end('committed')
})

test('what is staged for a later commit is held by itself until its staging ends', async () => {
  const backend = await open()
  const [child, other] = [leaf(), leaf()]
  // A parent may come before its children, as in a CAR.
  const parent = linking('staged', child, other)
  const dropped = linking('staged')
  const staging = await backend.stage('main', 'content of a put')
  await staging.put([parent, dropped])
  await staging.flush()
  await collect()
  await staging.put([
    { ...child, hold: 'staged' },
    { ...other, hold: 'staged' },
  ])
  await staging.flush()
  await collect()
  await expectAll(backend, [parent, dropped, child, other])
  const deep = linking('deep', parent)
  expect(await backend.commit(request(0, { blocks: [deep] }))).toBe('committed')
  await staging.end('dropped')
  await backend.close()
  await collect()
  const reader = await open()
  await expectAll(reader, [deep, parent, child, other])
  expect(await reader.hasBlocks([dropped.cid])).toEqual([false])
})

test('commits and collections at the same time lose nothing', async () => {
  const backend = await open()
  const kept: Block[] = []
  let done = false
  let runs = 0
  const collecting = (async (): Promise<void> => {
    for (; !done; runs++) await collect()
  })()
  try {
    for (let number = 0; number < 40; number++) {
      const content = leaf()
      const blocks = [linking('deep', content), linking('self')]
      const made = request(number, { blocks, content: [content] })
      expect(await backend.commit(made)).toBe('committed')
      kept.push(...blocks, content)
    }
  } finally {
    done = true
    await collecting
  }
  expect(runs).toBeGreaterThan(1)
  await collect()
  await expectAll(backend, kept)
  expect((await backend.newest('main', -1))?.number).toBe(39)
})

test('a block that a collection takes before it is put in place or pinned is sent again', async () => {
  const before = new Set(['pin/add', 'files/cp /ipfs/bafkrei'])
  const [backend] = await openThrough(async (call) => {
    for (const start of before) {
      if (!call.startsWith(start)) continue
      before.delete(start)
      await collect()
    }
    return 'pass' as const
  })
  const alone = linking('self')
  const first = request(0, { blocks: [alone] })
  expect(await backend.commit(first)).toBe('committed')
  expect(before.size).toBe(0)
  await expectAll(backend, [alone])
  expect(await backend.getCommit('main', 0)).toEqual(first.bytes)
})

test('a deep block that links to what the node lacks is refused, and nothing is committed', async () => {
  const backend = await open()
  const missing = leaf()
  const error: unknown = await backend
    .commit(request(0, { blocks: [linking('deep', missing)] }))
    .catch((reason: unknown) => reason)
  expect(isCairnError(error, 'content_missing') && error.details['cid']).toBe(printCid(missing.cid))
  expect(await backend.newest('main', -1)).toBeUndefined()
  const staging = await backend.stage('main', 'a build')
  await staging.put([linking('deep', missing)])
  await expect(staging.flush()).rejects.toMatchObject({ code: 'content_missing' })
  await staging.end('dropped')
})

test('an online node that looks for a missing block is cut off, and the block is named', async () => {
  await using online = await startKuboNode({ offline: false })
  const backend = await openKubo({ url: online.url, commitDeadlineMs: 1_500 })
  const commit = backend.commit(request(0, { blocks: [linking('deep', leaf())] }))
  await expect(commit).rejects.toMatchObject({ code: 'content_missing' })
  await backend.close()
})

test('blocks that are not what their CID says, or do not decode, are refused', async () => {
  const backend = await open()
  const lying: HeldBlock = { cid: leaf().cid, bytes: leaf().bytes, hold: 'self' }
  await expect(backend.commit(request(0, { blocks: [lying] }))).rejects.toMatchObject({
    code: 'block_mismatch',
  })
  const broken: HeldBlock = { ...cborBlock(Buffer.from([0x18, 0x01])), hold: 'self' }
  await expect(backend.commit(request(0, { blocks: [broken] }))).rejects.toMatchObject({
    code: 'invalid_block',
  })
  expect(await backend.newest('main', -1)).toBeUndefined()
})

test('thousands of small blocks are staged with a pin for all of them', async () => {
  const backend = await open()
  const blocks: HeldBlock[] = Array.from({ length: 25_000 }, () => ({ ...leaf(), hold: 'staged' }))
  const before = (await pinsOf(node.url, 'recursive')).length
  const staging = await backend.stage('main', 'a restore')
  await staging.put(blocks)
  await staging.flush()
  expect((await pinsOf(node.url, 'recursive')).length).toBe(before + 2)
  await collect()
  const found = await backend.hasBlocks(blocks.filter((_, i) => i % 50 === 0).map(({ cid }) => cid))
  expect(found.every(Boolean)).toBe(true)
  await staging.end('dropped')
  await backend.close()
  expect((await pinsOf(node.url, 'recursive')).length).toBe(before)
})

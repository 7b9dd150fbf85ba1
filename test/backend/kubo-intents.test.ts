/** What is written down before it is pinned, so that a prune finds what a crash left. */
import { expect, test } from 'vitest'
import { printCid, type Block } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { linking, pinsOf, request } from '../helpers/kubo-blocks.ts'
import { askNode } from '../helpers/kubo-node.ts'
import { nodeOfTests } from '../helpers/kubo-holds.ts'

const node = nodeOfTests()
const { open, openThrough } = node

interface Intent {
  readonly dataset: string
  readonly commit?: number
  readonly label?: string
  readonly pins: string[]
}

async function intents(): Promise<Intent[]> {
  const names = await askNode(node.url, 'files/ls', { arg: '/cairn/intents' })
  const { Entries } = JSON.parse(names) as { Entries: { Name: string }[] | null }
  const texts = (Entries ?? []).map(({ Name }) =>
    askNode(node.url, 'files/read', { arg: `/cairn/intents/${Name}` }),
  )
  return (await Promise.all(texts)).map((text) => JSON.parse(text) as Intent)
}

test('intents are gone after commits', async () => {
  const backend = await open()
  const staging = await backend.stage('main', 'a build with a name that is rather long')
  await staging.put([linking('deep'), linking('self'), linking('staged')])
  await staging.flush()
  expect(await intents()).toHaveLength(2)
  await backend.commit(request(0, { blocks: [linking('deep')] }))
  await staging.end('committed')
  await backend.close()
  expect(await intents()).toEqual([])
})

test('a crash between import and commit leaves the intent that names what it pinned', async () => {
  const [backend] = await openThrough((call) =>
    call.includes('/cairn/datasets/main/') && call.startsWith('files/cp') ? 'lose' : 'pass',
  )
  const blocks = [linking('deep'), linking('self')]
  await expect(backend.commit(request(0, { blocks }))).rejects.toMatchObject({
    code: 'commit_unknown',
  })
  await backend.close()
  const pins = blocks.map(({ cid }) => printCid(cid))
  expect(await intents()).toEqual([{ dataset: 'main', commit: 0, pins }])
  expect([...(await pinsOf(node.url, 'recursive')), ...(await pinsOf(node.url, 'direct'))]).toEqual(
    expect.arrayContaining(pins),
  )
})

test('an import that is lost before it ends leaves an intent and no commit', async () => {
  const [backend] = await openThrough((call) => (call.startsWith('dag/import') ? 'mute' : 'pass'))
  const block = linking('deep')
  await expect(backend.commit(request(0, { blocks: [block] }))).rejects.toMatchObject({
    code: 'backend_unavailable',
  })
  expect(await intents()).toMatchObject([{ commit: 0, pins: [printCid(block.cid)] }])
  expect(await backend.newest('main', -1)).toBeUndefined()
})

test('a staging that is dropped leaves its intent to a prune, if a commit named it, and else nothing', async () => {
  const backend = await open()
  await backend.commit(request(0))
  const dropped: Backend[] = []
  for (const isNamed of [false, true]) {
    const writer = await open()
    const staging = await writer.stage('main', 'a build')
    await staging.put([linking('deep')])
    await staging.flush()
    if (isNamed) expect(await writer.commit(request(0, { staging }))).toBe('conflict')
    await staging.end('dropped')
    dropped.push(writer)
  }
  for (const writer of dropped) await writer.close()
  const pins = await pinsOf(node.url, 'recursive')
  expect(pins).toHaveLength(1)
  expect(await intents()).toMatchObject([{ dataset: 'main', label: 'a build', pins }])
})

test('writers that lose in one process pin nothing and leave no intent', async () => {
  const backend = await open()
  const requests = Array.from({ length: 5 }, () => request(0, { blocks: [linking('deep')] }))
  const outcomes = await Promise.all(requests.map((one) => backend.commit(one)))
  const pinned = new Set(await pinsOf(node.url, 'recursive'))
  for (const [i, { blocks }] of requests.entries()) {
    expect(pinned.has(printCid((blocks[0] as Block).cid))).toBe(outcomes[i] === 'committed')
  }
  await backend.close()
  expect(await intents()).toEqual([])
})

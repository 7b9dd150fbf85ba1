import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from '@ipld/dag-cbor'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isCairnError } from '../../src/errors.ts'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { cborBlock } from '../../src/model/cid.ts'
import type { Backend, CommitRequest, HeldBlock } from '../../src/store/backend.ts'
import { askNode, closing, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { startNodeProxy } from '../helpers/node-proxy.ts'

const ROUNDS = 4
/** The node is killed soon after so many commits, which is then in the midst of others. */
const COMMITS_A_ROUND = 20

let node: KuboNode

// A node of its own for each try: what a kill leaves must not lie in the way of the next one.
beforeEach(async () => {
  node = await startKuboNode({ offline: false })
}, 60_000)
afterEach(() => node.dispose())

/**
 * Once in some hundred kills Kubo itself comes back with the root of MFS naming a block that it lacks,
 * and refuses to start ("error loading filesroot"; docs/CONFIG.md). Nothing of ours can be seen on such
 * a node, so this one failure, and no other, makes a test begin again on a new node.
 */
const ON_A_NEW_NODE = { retry: { count: 2, condition: /error loading filesroot/ } }

interface Acknowledged {
  readonly number: number
  readonly bytes: Uint8Array
  readonly block: HeldBlock
}

/** Commits one after another until an error, and answers what was acknowledged. */
async function commitUntilItFails(
  backend: Backend,
  dataset: string,
  onCommit: () => void,
): Promise<Acknowledged[]> {
  const acknowledged: Acknowledged[] = []
  for (let number = ((await backend.newest(dataset, -1))?.number ?? -1) + 1; ;) {
    const block: HeldBlock = { ...cborBlock(encode(randomBytes(60))), hold: 'deep' }
    const bytes = Buffer.from(JSON.stringify({ dataset, nonce: randomBytes(6).toString('hex') }))
    try {
      const request: CommitRequest = { dataset, number, bytes, blocks: [block] }
      expect(await backend.commit(request)).toBe('committed')
      acknowledged.push({ number, bytes, block })
      onCommit()
      number++
    } catch (error) {
      if (!isCairnError(error)) throw error
      return acknowledged
    }
  }
}

test(
  'every acknowledged commit of several writers outlives a node that is killed again and again',
  ON_A_NEW_NODE,
  async () => {
    const names = ['one', 'two', 'three', 'four']
    const all = new Map<string, Acknowledged[]>(names.map((name) => [name, []]))
    for (let round = 0; round < ROUNDS; round++) {
      // Each has a backend of its own, as in four processes.
      const backends = await Promise.all(
        names.map(() => openKubo({ url: node.url, retryMs: 0, openMs: 15_000 })),
      )
      let commits = 0
      const writing = names.map((name, i) =>
        commitUntilItFails(backends[i] as Backend, name, () => commits++),
      )
      while (commits < COMMITS_A_ROUND) await sleep(5)
      await sleep(Math.random() * 30)
      await node.kill()
      const results = await Promise.all(writing)
      await node.restart()
      await Promise.all(backends.map((backend) => backend.close()))
      await using reader = closing(await openKubo({ url: node.url }))
      for (const [i, name] of names.entries()) {
        all.get(name)?.push(...(results[i] ?? []))
        for (const { number, bytes } of all.get(name) ?? []) {
          expect(await reader.getCommit(name, number), `${name} ${number}`).toEqual(bytes)
        }
      }
    }
    // What they hold is held still, and not only there because nobody collected.
    await askNode(node.url, 'repo/gc')
    const reader = await openKubo({ url: node.url })
    const blocks = [...all.values()].flat().map(({ block }) => block.cid)
    expect(blocks.length).toBeGreaterThanOrEqual(ROUNDS * COMMITS_A_ROUND)
    expect(await reader.hasBlocks(blocks)).toEqual(blocks.map(() => true))
    await reader.close()
  },
)

test(
  'a commit whose node is killed in the middle of it is found out when it is made again',
  ON_A_NEW_NODE,
  async () => {
    for (const moment of ['intents', 'dag/import', 'files/cp', 'pin/ls']) {
      let killed = false
      await using proxy = await startNodeProxy(node.url, async (call) => {
        if (killed || !call.includes(moment)) return 'pass' as const
        killed = true
        // The request is on its way while the node dies.
        setTimeout(() => void node.kill(), Math.random() * 2)
        return 'pass' as const
      })
      await using writer = closing(await openKubo({ url: proxy.url, retryMs: 100 }))
      await using reader = closing(await openKubo({ url: node.url, retryMs: 10_000 }))
      const newest = await reader.newest('main', -1)
      const number = (newest?.number ?? -1) + 1
      const block: HeldBlock = { ...cborBlock(encode(randomBytes(60))), hold: 'deep' }
      const bytes = Buffer.from(JSON.stringify({ nonce: randomBytes(8).toString('hex') }))
      const request: CommitRequest = { dataset: 'main', number, bytes, blocks: [block] }
      const outcome: unknown = await writer.commit(request).catch((error: unknown) => error)
      await node.restart()
      const stored = await reader.getCommit('main', number)
      if (outcome === 'committed') expect(stored).toEqual(bytes)
      else if (!isCairnError(outcome, 'commit_unknown')) expect(stored).toBeUndefined()
      expect(await reader.commit(request)).toBe('committed')
      expect(await reader.hasBlocks([block.cid])).toEqual([true])
    }
  },
)

test('reads go on over a restart of the node', ON_A_NEW_NODE, async () => {
  await using backend = closing(await openKubo({ url: node.url, retryMs: 15_000 }))
  await backend.commit({ dataset: 'steady', number: 0, bytes: Buffer.from('{}'), blocks: [] })
  await node.kill()
  const reading = backend.newest('steady', -1)
  await node.restart()
  expect(await reading).toEqual({ number: 0, bytes: Buffer.from('{}') })
})

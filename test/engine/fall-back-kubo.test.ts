/** Falling back on a real node whose files were damaged behind its back. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { repairDataset } from '../../src/verify/repair.ts'
import { blocksOf } from '../helpers/damage.ts'
import { corruptOnNode, loseOnNode } from '../helpers/kubo-damage.ts'
import { startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { filled } from '../verify/helpers.ts'

let node: KuboNode

beforeAll(async () => {
  node = await startKuboNode()
}, 60_000)
afterAll(() => node.dispose())

test('a node falls back, is pruned, and after a repair has the newest state again', async () => {
  const opened = await filled(await openKubo({ url: node.url }))
  const { backend, clock, ledgerDir } = opened
  const { chain, leaves, header } = await blocksOf(backend)
  const [leaf = header] = leaves
  const [, head = header] = chain
  const copy = openMemory()
  const blocks = await backend.getBlocks([leaf, head])
  await copy.heal([leaf, head].map((cid, i) => ({ cid, bytes: blocks[i] ?? new Uint8Array() })))
  await corruptOnNode(node.url, leaf)
  await loseOnNode(node.url, head)
  const process = new Cairn(backend, { now: () => clock.now })
  expect(await process.fallBack()).toMatchObject({
    from: 8,
    to: 5,
    damage: [{ what: 'leaf' }, { what: 'chain' }],
  })
  const dataset = await process.dataset()
  expect(await dataset.get('zz')).toBeUndefined()
  await dataset.put('after', { it: 1 })
  expect(await dataset.prune({ policy: { last: 1 } })).toMatchObject({ status: 'pruned' })
  expect(await process.fallBack()).toMatchObject({ status: 'good' })
  await opened.verify()
  const sources = [{ name: 'copy', getBlocks: copy.getBlocks.bind(copy) }]
  const repaired = await repairDataset(backend, 'main', { sources, ledgerDir })
  expect(repaired).toMatchObject({ verdict: 'sound', healed: 2 })
  await dataset.rollback({ commit: 8 })
  expect(await dataset.get('zz')).toBeDefined()
  expect(await dataset.get('after')).toBeUndefined()
  expect(await dataset.prune({ policy: { last: 1 } })).toMatchObject({ status: 'pruned' })
  expect((await opened.verify()).verdict).toBe('sound')
  await opened.cairn.close()
}, 60_000)

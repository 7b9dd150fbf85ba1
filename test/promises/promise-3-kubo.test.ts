/** Promise 3 on a Kubo node: the same entities have the root that they have anywhere else. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { START } from '../helpers/engine.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { manyEntities, rootOf, wander, wayTo } from '../helpers/roots.ts'

let node: KuboNode

beforeAll(async () => {
  node = await startKuboNode()
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
}, 300_000)
afterAll(() => node.dispose())

test('the same entities in any order and any number of builds have one root on kubo, too', async () => {
  const entities = manyEntities()
  const expected = await rootOf(entities.final, START)
  const backend = await openKubo({ url: node.url })
  for (const [i, size] of [3000, 900].entries()) {
    expect(
      await wander(backend, wayTo(entities, i + 1, size), `way-${i}`),
      `batches of ${size}`,
    ).toBe(expected)
  }
  await backend.close()
})

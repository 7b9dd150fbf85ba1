/** And on an IPFS node, a few short ones. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { playRandomly } from './script.ts'

let node: KuboNode
beforeAll(async () => {
  node = await startKuboNode()
})
afterAll(() => node.dispose())

test('on an IPFS node, too', async () => {
  const open = async () => {
    const backend = await openKubo({ url: node.url })
    const end = async (): Promise<void> => {
      await backend.close()
      await askNode(node.url, 'files/rm', { arg: '/cairn', recursive: 'true', force: 'true' })
    }
    return { backend, end }
  }
  const played = await playRandomly(open, { runs: 4, ms: 6000, most: 12 })
  expect(played).toBeGreaterThan(0)
}, 3_600_000)

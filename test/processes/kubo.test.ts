/** Several processes on one Kubo node. */
import { afterAll, beforeAll, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { expectRaceLosesNothing } from '../helpers/processes.ts'

const PROCESSES = 4
const EACH = 500

let node: KuboNode

beforeAll(async () => {
  await builtDist()
  node = await startKuboNode()
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
}, 300_000)
afterAll(() => node.dispose())

test('4 processes that append 500 entries each while builds run lose none, and repeat no position', async () => {
  const names = Array.from({ length: PROCESSES }, (_, i) => `w${i}`)
  await expectRaceLosesNothing({ store: `kubo:${node.url}`, names, each: EACH, builds: 2 })
}, 120_000)

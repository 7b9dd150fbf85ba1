/** The pages that need an IPFS node: all that they tell people to type, run as it stands on a real one. */
import { afterEach, beforeAll, afterAll, expect, test } from 'vitest'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { ROOT, runPage } from './run-page.ts'

let kubo: KuboNode

beforeAll(async () => {
  kubo = await startKuboNode()
})

afterAll(() => kubo.dispose())

/** Each page finds a node that is new. */
afterEach(async () => {
  await askNode(kubo.url, 'files/rm', { arg: '/cairn', recursive: 'true', force: 'true' })
})

test('docs/tutorials/archive.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/tutorials/archive.md', { kubo })
  const roots = new Set([...stdout.matchAll(/^root +(\w+)$/gm)].map(([, root]) => root))
  expect(roots.size).toBe(1)
  expect(stdout).toContain('whole: ')
})

test('docs/guides/to-kubo.md', { timeout: 300_000 }, async () => {
  const before = `cairn put page:1 --value '"here"' >"$RUN/before"`
  const { stdout } = await runPage('docs/guides/to-kubo.md', { kubo, before })
  const roots = [...stdout.matchAll(/^root +(\w+)$/gm)].map(([, root]) => root)
  expect(roots).toHaveLength(2)
  expect(roots[0]).toBe(roots[1])
})

test('docs/guides/stock-tools.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/guides/stock-tools.md', {
    kubo,
    before: `echo 'What every file begins with.' > README.txt; ln -s ${ROOT}/node_modules node_modules`,
  })
  expect(stdout).toContain('cairn/checkpoint@v1')
})

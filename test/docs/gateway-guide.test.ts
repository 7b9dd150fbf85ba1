/** The guide to the gateway, run as it stands: with curl, and a real node. */
import { expect, test } from 'vitest'
import { startKuboNode } from '../helpers/kubo-node.ts'
import { runPage } from './run-page.ts'

test('docs/guides/gateway.md', { timeout: 300_000 }, async () => {
  await using kubo = await startKuboNode()
  const { stdout } = await runPage('docs/guides/gateway.md', {
    kubo,
    before: 'echo "What every file begins with." >README.txt',
  })
  expect(stdout).toContain('"A letter"')
})

/** README.md: its commands are run as they stand, in a clone; "As a service" is run by test/ops/service-docs.test.ts. */
import { expect, test } from 'vitest'
import { startKuboNode } from '../helpers/kubo-node.ts'
import { runPage } from './run-page.ts'

test('the commands of README.md work, one after another', { timeout: 300_000 }, async () => {
  await using kubo = await startKuboNode()
  const { stdout } = await runPage('README.md', {
    chapters: (chapter) => chapter !== 'As a service',
    clone: true,
    kubo,
  })
  const roots = [...stdout.matchAll(/^root {2,}(\w+)$/gm)].map(([, root]) => root)
  expect(roots).toHaveLength(2)
  expect(roots[0]).toBe(roots[1])
  expect(stdout).toContain('whole: ')
})

/** The guide to replicas, run as it stands: a copy, a fail-over, and back. */
import { expect, test } from 'vitest'
import { runPage } from './run-page.ts'

test('docs/guides/replicas.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/guides/replicas.md', {
    before: `cairn put greeting --value '{"hello":"world"}'`,
  })
  expect(stdout).toContain('is the primary now, generation 2')
  expect(stdout).toMatch(/is a replica of lmdb:\S+\/copy now/)
})

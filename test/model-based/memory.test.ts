/**
 * The whole engine against plain maps, on memory: random scripts of two writers, shrunk to a few commands
 * that are printed as code. `MODEL_RUNS=5000 MODEL_MS=600000 npx vitest run test/model-based` is the long run.
 */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { playRandomly } from './script.ts'

test('whatever two writers do, everything that can be read is as plain maps have it', async () => {
  const open = async () => ({ backend: openMemory(), end: () => Promise.resolve() })
  const played = await playRandomly(open, { runs: 200, ms: 10_000, most: 30 })
  expect(played).toBeGreaterThan(0)
}, 3_600_000)

/** The same scripts on the embedded store, fewer of them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { playRandomly } from './script.ts'

test('on lmdb, too', async () => {
  const open = async () => {
    const dir = await mkdtemp(join(tmpdir(), 'cairn-model-lmdb-'))
    const backend = await openLmdb({ dir, create: true })
    const end = async (): Promise<void> => {
      await backend.close()
      await rm(dir, { recursive: true, force: true })
    }
    return { backend, end }
  }
  const played = await playRandomly(open, { runs: 12, ms: 6000, most: 30 })
  expect(played).toBeGreaterThan(0)
}, 3_600_000)

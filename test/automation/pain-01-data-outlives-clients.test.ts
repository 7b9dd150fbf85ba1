/**
 * Pain P01: data was lost when all clients had left, because the server kept nothing of its own. Here the
 * store is the only source: what was written is there after the clients have gone and the process was
 * killed, and no one has to start anything.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import type { Backend } from '../../src/store/backend.ts'
import { tempDir } from '../helpers/engine.ts'
import { MINUTE, NOON } from './situations.ts'
import { openWorld } from './world.ts'

const values = { save_interval: 120 }

async function onMemory(): Promise<() => Promise<Backend>> {
  const backend = openMemory()
  return async () => backend
}

async function onDisk(): Promise<() => Promise<Backend>> {
  const dir = join(await tempDir(), 'store')
  await mkdir(dir, { recursive: true })
  return () => openLmdb({ dir, create: true })
}

test.each([
  ['memory', onMemory],
  ['lmdb', onDisk],
])(
  'P01: nothing is lost when all clients leave and the process is killed (%s)',
  async (_, place) => {
    const open = await place()
    const first = await openWorld({ values, backend: await open() })
    await first.automation.start()
    await first.append(5)
    // The last client leaves: its work is saved under its name.
    await first.automation.save('main', 'user_disconnect:Alice')
    await first.settle()
    expect(first.said()).toContain('Session saved to disk (reason: user_disconnect:Alice)')
    // Another one wrote, left without a word, and no save came before the kill.
    await first.append(3)
    const before = await (await first.cairn.dataset('main')).list({ limit: 100 })
    first.kill()

    const later = { values, dir: first.dir, now: NOON + 60 * MINUTE }
    const second = await openWorld({ ...later, backend: await open() })
    await second.automation.start()
    const dataset = await second.cairn.dataset('main')
    const after = await dataset.list({ limit: 100 })
    expect(after.items).toEqual(before.items)
    expect(after.items).toHaveLength(8)
    // Still without a client, what no snapshot had is saved.
    await second.advance(3 * MINUTE)
    expect(second.said()).toContain('Session saved to disk (reason: interval)')
    expect((await dataset.head()).recentCount).toBe(0)
    await second.append(1)
    await second.advance(3 * MINUTE)
    expect((await dataset.head()).recentCount).toBe(0)
  },
)

/** Whoever reads much at a stretch from lmdb, whose reads are done at once, leaves the others their turn. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { rawCidOf } from '../../src/model/cid.ts'

const BLOCKS = 6000
const BYTES = 1000

test('a reader of block after block lets a timer fire again and again', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-turns-'))
  const backend = await openLmdb({ dir, create: true })
  try {
    const blocks = Array.from({ length: BLOCKS }, (_, i) => {
      const bytes = new Uint8Array(Buffer.alloc(BYTES, String(i)))
      return { cid: rawCidOf(bytes), bytes, hold: 'staged' as const }
    })
    const staging = await backend.stage('main', 'a test')
    await staging.put(blocks)
    await staging.flush()

    let turns = 0
    let reading = true
    const countTurns = (): void => {
      turns += 1
      if (reading) setImmediate(countTurns)
    }
    setImmediate(countTurns)
    for (const { cid } of blocks) expect((await backend.getBlocks([cid]))[0]).toHaveLength(BYTES)
    reading = false
    // 12 MB with their look-ups, in parts of 2 MiB.
    expect(turns).toBeGreaterThanOrEqual(5)
    await staging.end('dropped')
  } finally {
    await backend.close()
    await rm(dir, { recursive: true })
  }
})

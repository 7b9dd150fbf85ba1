/** Putting blocks in the place of what a store has under their CIDs: every backend heals. */
import { expect, test } from 'vitest'
import type { Block } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { block, commitMany, plain, print, printed, readAll, stageAll } from './material.ts'
import type { Start } from './material.ts'

/** A node may have to be made forget what it has, which takes a while. */
const SLOW_MS = 60_000

/** Stores that do not hash what they are given can be given anything. */
async function corruptByStaging(backend: Backend, damaged: Block): Promise<void> {
  await stageAll(backend, [{ cid: damaged.cid, bytes: block(77).bytes, hold: 'self' }])
}

export function healTests(start: Start): void {
  test('a block that is missing is there after it, and after a restart', async () => {
    const { backend, reopen } = await start()
    const blocks = [block(10), block(100_000)]
    expect(await backend.hasBlocks(blocks.map(({ cid }) => cid))).toEqual([false, false])
    await backend.heal(blocks)
    expect(await readAll(backend, blocks)).toEqual(printed(blocks))
    if (reopen) expect(await readAll(await reopen(), blocks)).toEqual(printed(blocks))
  })

  test(
    'a block with other bytes is right after it, and after a restart',
    async () => {
      const { backend, reopen, corrupt } = await start()
      const [damaged, larger, sound] = [block(100), block(40_000), block(300)]
      if (corrupt) {
        await stageAll(backend, [damaged, larger])
        await corrupt(damaged.cid)
        await corrupt(larger.cid)
      } else {
        await corruptByStaging(backend, damaged)
        await corruptByStaging(backend, larger)
      }
      await stageAll(backend, [sound])
      const before = await readAll(backend, [damaged, larger])
      expect(before).not.toContain(print(damaged.bytes))
      expect(before).not.toContain(print(larger.bytes))
      await backend.heal([larger, damaged])
      const all = [damaged, larger, sound]
      expect(await readAll(backend, all)).toEqual(printed(all))
      if (reopen) expect(await readAll(await reopen(), all)).toEqual(printed(all))
    },
    SLOW_MS,
  )

  test('what is whole stays so, and no commit changes', async () => {
    const { backend } = await start()
    const one = block(100)
    const written = await commitMany(backend, 2)
    await stageAll(backend, [one])
    await backend.heal([one])
    await backend.heal([])
    expect(await readAll(backend, [one])).toEqual([print(one.bytes)])
    expect(plain((await backend.newest('main', 0))?.bytes)).toEqual(written[1])
  })
}

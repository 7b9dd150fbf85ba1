/** Copies into a node and out of it: what the node's collector leaves is all that a replica needs. */
import { expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { START, tempDir } from '../helpers/engine.ts'
import { startKuboNode } from '../helpers/kubo-node.ts'
import { Random } from '../helpers/random.ts'
import { changeSource, expectSame, expectSound } from '../helpers/replicas.ts'

test('from memory to a node, and from there on', { timeout: 120_000 }, async () => {
  await using kubo = await startKuboNode()
  let clock = START
  const now = (): number => (clock += 10)
  const source = new Cairn(openMemory(), { now })
  const { dataset } = await source.init('main', { chunkSize: 64 })
  const random = new Random(4)
  const backend = await openKubo({ url: kubo.url })
  const node = new Cairn(backend, { now })
  const onward = openMemory()
  try {
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 4; i++) await changeSource(dataset, random)
      await node.sync(source.asSource())
      await (await node.dataset()).prune({ policy: { last: 1 } })
      await node.compact()
      await expectSame(dataset, backend, now)
      expect(await new Cairn(onward, { now }).sync(node.asSource())).toMatchObject({
        status: 'synced',
      })
      await expectSame(dataset, onward, now)
    }
    await expectSound(backend, await tempDir())
    await expectSound(onward, await tempDir())
  } finally {
    await node.close()
  }
})

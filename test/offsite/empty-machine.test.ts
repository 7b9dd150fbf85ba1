/** The bucket alone, and a machine that has nothing: one command, and 100,000 entities are there. */
import { expect, onTestFinished, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { newSite, useMinio } from './kit.ts'

const minio = useMinio()
const COUNT = 100_000

test('100,000 entities come back by one command', { timeout: 300_000 }, async () => {
  const site = await newSite(minio())
  const [box, empty] = [await Sandbox.make(), await Sandbox.make()]
  for (const one of [box, empty]) onTestFinished(() => one.remove())
  // Each has a block of its own besides the snapshot's.
  const lines = Array.from({ length: COUNT }, (_, i) => `{"pi":"entity-${i}","value":{"i":${i}}}`)
  await box.ok(['import', '-'], { input: lines.join('\n') })
  await box.ok(['build-snapshot'])
  const env = { ...minio().env }
  const made = await box.json(['export-car', '--offsite', site.direct], { env })
  expect(made).toMatchObject({ total_count: COUNT, offsite: { pushed: 1 } })
  const restored = await empty.json(['restore-car', site.direct], { env })
  expect(restored).toMatchObject({
    status: 'restored',
    total_count: COUNT,
    snapshot: made['snapshot_cid'],
  })
  expect(await empty.json(['get', 'entity-99999'])).toMatchObject({ pi: 'entity-99999' })
  expect(await empty.json(['verify'])).toMatchObject({ status: 'sound' })
})

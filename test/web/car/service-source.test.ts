/** A service and a CAR of its dataset, seen through the same interface, show the same. */
import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { openMemory } from '../../../src/backend/memory.ts'
import { connect } from '../../../src/client/index.ts'
import { openSession } from '../../../web/src/car/session.ts'
import { serviceSource } from '../../../web/src/service-source.ts'
import { carPath, writeCar } from '../../helpers/cars.ts'
import { collect } from '../../helpers/engine.ts'
import { startService } from '../../helpers/service.ts'

test('entities, snapshots, chunks, differences, blocks and contents are the same records', async () => {
  const init = { content: 'linked', chunkSize: 64 } as const
  const { url, service } = await startService({ backend: openMemory(), init, automation: false })
  const dataset = await service.dataset('main')
  await dataset.putBatch(
    Array.from({ length: 200 }, (_, i) => ({ pi: `e${i}`, value: { n: i, link: null } })),
  )
  await dataset.build({ tags: ['first'] })
  const path = carPath()
  await dataset.put('e7', { n: 'again' })
  await dataset.put('file', new Uint8Array(2_000_000).fill(7))
  await writeCar(dataset, path)
  const there = serviceSource(connect({ url }).dataset('main'))
  const session = await openSession([{ name: 'main.car', path }])
  try {
    const here = session.states()
    const query = { limit: 50, prefix: 'e1' }
    const page = await there.entities(query)
    expect(page).toEqual(await here.entities(query))
    expect(await there.entity('e7')).toEqual(await here.entity('e7'))
    expect(await there.entity('nobody')).toEqual(await here.entity('nobody'))
    expect((await there.history('e7'))[0]).toEqual((await here.history('e7'))[0])
    expect((await there.snapshots()).slice(0, 1)).toEqual(here.snapshots())
    expect(await collect(there.chunks('first'))).toEqual(await collect(here.chunks('first')))
    const changes = { from: 'first', to: 'latest' }
    expect(await collect(there.diff(changes))).toEqual(await collect(here.diff('first', 'latest')))
    const { state } = session.summary
    const described = await there.describe()
    expect(described).toMatchObject({
      kind: 'service',
      seq: state?.seq,
      snapshot: state?.snapshot,
      ts: state?.ts,
      total_count: 201,
      recent_count: state?.recent_count,
    })
    const tip = (await there.entity('file'))?.tip ?? ''
    expect(Buffer.compare(await there.bytes(tip), session.block(tip))).toBe(0)
    const content = await there.content(tip, { maxBytes: 10 })
    expect(content).toMatchObject({ kind: 'bytes', cut: true, bytes: new Uint8Array(10).fill(7) })
    const value = await there.content((await there.entity('e7'))?.tip ?? '')
    expect(value).toMatchObject({ kind: 'value', value: { n: 'again' } })
    expect((await there.block(tip)).links.length).toBeGreaterThan(1)
  } finally {
    await session.close()
    await rm(path, { force: true })
  }
})

/** Values that no block can hold: they are refused alone, before anybody sees them, and stop nothing else. */
import { expect, test } from 'vitest'
import { LiveWriter, type Write } from '../../src/live/writer.ts'
import { expectRefused } from '../helpers/engine.ts'
import { liveStore } from '../helpers/live.ts'

/** The encoder takes it for a CID of another library. */
const LINK = { '/': 1, bytes: 1 }

test.for([
  ['itself', LINK],
  ['a part of it', { list: [{ deep: LINK }] }],
] as const)(
  'a value that the encoder takes for a link, %s, is refused by set, and what is written with it is kept',
  async ([, value]) => {
    const store = liveStore()
    const cairn = store.open()
    const loose = await cairn.map<unknown>('loose', { durability: 'interval', window: 20 })
    const map = await cairn.map<unknown>('map')
    await expectRefused(loose.set('bad', value), 'invalid_content')
    await expectRefused(map.setAll({ bad: value, good: 1 }), 'invalid_content')
    await expectRefused(map.replaceAll({ bad: value }), 'invalid_content')
    await loose.set('good', 1)
    await map.set('good', 1)
    await cairn.close()
    const again = store.open()
    expect([...(await again.map('loose')), ...(await again.map('map'))]).toEqual([
      ['good', 1],
      ['good', 1],
    ])
  },
)

test('a member "/" that is no link is kept as it is', async () => {
  const store = liveStore()
  const value = { '/': 1, bytes: 2, list: [{ '/': null, bytes: null }] }
  await (await store.open().map('map')).set('key', value)
  expect((await store.open().map('map')).get('key')).toEqual(value)
})

test('a group that cannot be encoded fails alone, whatever its durability', async () => {
  const store = liveStore()
  const { dataset } = await store.open().init('main')
  const told: unknown[] = []
  const writer = new LiveWriter({
    dataset,
    limit: async () => (await dataset.head()).chainLimit,
    onTrouble: (error) => told.push(error?.code),
  })
  const ended: string[] = []
  const write = (id: string, value: unknown): Write => ({
    id,
    value,
    exp: null,
    written: () => ended.push(`${id} written`),
    failed: () => ended.push(`${id} failed`),
  })
  const first = writer.write([write('a', 1)])
  const loose = writer.write([write('b', 1), write('c', LINK)], { windowMs: 1000 })
  const bad = writer.write([write('d', LINK)])
  const last = writer.write([write('e', 1)], { windowMs: 1000 })
  await Promise.all([first, loose, last, expectRefused(bad, 'invalid_content')])
  await writer.flush()
  expect(ended).toEqual(['b failed', 'c failed', 'd failed', 'a written', 'e written'])
  expect(told).toEqual(['invalid_content', 'invalid_content', undefined])
  await writer.stop()
})

/** Many at once, and what comes of it in their order. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { mapAtOnce } from '../../src/util/in-order.ts'

test('results come in the order of the items, and no more than the width are under way', async () => {
  let underWay = 0
  let most = 0
  const results = await mapAtOnce([30, 1, 20, 1, 10], 2, async (ms) => {
    most = Math.max(most, ++underWay)
    await delay(ms)
    underWay -= 1
    return ms
  })
  expect(results).toEqual([30, 1, 20, 1, 10])
  expect(most).toBe(2)
  expect(await mapAtOnce([], 2, () => Promise.reject(new Error('nothing to do')))).toEqual([])
})

test('after one has failed none begins, and none is under way any more', async () => {
  const begun: number[] = []
  const ended: number[] = []
  const mapped = mapAtOnce([0, 1, 2, 3], 2, async (item) => {
    begun.push(item)
    if (item === 0) throw new Error('the first')
    await delay(20)
    ended.push(item)
  })
  await expect(mapped).rejects.toThrow('the first')
  expect({ begun, ended }).toEqual({ begun: [0, 1], ended: [1] })
})

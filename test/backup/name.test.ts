import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  isCarName,
  isUnfinishedName,
  parseCarName,
  parseTimestamp,
  pathsBeside,
  printCarName,
  printTimestamp,
  unfinishedName,
} from '../../src/backup/name.ts'

const name = fc.record({
  dataset: fc.stringMatching(/^[a-z0-9_-]{1,64}$/),
  seq: fc.nat(),
  timestamp: fc
    .date({
      min: new Date('1970-01-01'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    })
    .map((date) => printTimestamp(date.getTime())),
  cidEnd: fc.stringMatching(/^[a-z2-7]{8}$/),
  encrypted: fc.boolean(),
})

test('a name says the same when it is read, whatever dashes are in the dataset', () => {
  fc.assert(
    fc.property(name, (one) => {
      expect(parseCarName(printCarName(one))).toEqual(one)
    }),
  )
})

test('a name is as documented', () => {
  const at = Date.UTC(2026, 10, 21, 3, 4, 5, 678)
  const text = printCarName({
    dataset: 'my-data',
    seq: 12,
    timestamp: printTimestamp(at),
    cidEnd: 'abcdefgh',
    encrypted: false,
  })
  expect(text).toBe('my-data-12-20261121-030405-abcdefgh.car')
  expect(parseTimestamp('20261121-030405')).toBe(at - 678)
})

test('what is no name or no time is undefined', () => {
  const good = 'main-1-20261121-030405-abcdefgh.car'
  expect(parseCarName(good)).toBeDefined()
  const bad = ['arke-4-20261121-035044.car', good.replace('1121', '0231'), `x/${good}`, `${good}x`]
  for (const text of bad) expect(parseCarName(text)).toBeUndefined()
  expect(parseTimestamp('20261301-000000')).toBeUndefined()
})

test('an unfinished file is not taken for a CAR, nor a CAR for one', () => {
  const text = 'main-1-20261121-030405-abcdefgh.car'
  expect(isCarName(unfinishedName(text))).toBe(false)
  expect(isUnfinishedName(unfinishedName(text))).toBe(true)
  expect(isUnfinishedName(text)).toBe(false)
  expect(pathsBeside('b/x.car.age')).toEqual({
    car: 'b/x.car.age',
    sidecar: 'b/x.json',
    sums: 'b/x.sha256',
  })
})

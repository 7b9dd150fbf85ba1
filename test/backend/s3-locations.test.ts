/** Where blocks lie, at the limit of how many objects there can be. */
import { expect, test } from 'vitest'
import { BlockCache } from '../../src/backend/s3/block-cache.ts'
import { Clock } from '../../src/backend/s3/clock.ts'
import { CommitLog } from '../../src/backend/s3/commit-log.ts'
import { Locations } from '../../src/backend/s3/locations.ts'
import { isCairnError } from '../../src/errors.ts'
import { cborCidOf, cidParts } from '../../src/model/cid.ts'
import { holding } from '../fuzz/holding.ts'

const MOST = 2 ** 18

test('one object too many is refused with a code, and those before it are found', () => {
  const locations = new Locations()
  const cids = [0, MOST - 1, MOST].map((i) => cborCidOf(Buffer.from(String(i))))
  const [first, last, beyond] = cids.map((cid) => [
    { digest: cidParts(cid).digest, at: 51, length: 100 },
  ])
  locations.add('0', first ?? [])
  for (let i = 1; i < MOST - 1; i++) locations.add(String(i), [])
  expect(locations.full).toBe(false)
  locations.add(String(MOST - 1), last ?? [])
  expect(locations.full).toBe(true)
  let refused: unknown
  try {
    locations.add(String(MOST), beyond ?? [])
  } catch (error) {
    refused = error
  }
  expect(isCairnError(refused, 'backend_refused')).toBe(true)
  // A commit that was put is one, whether or not there is room for its place.
  const log = new CommitLog(
    holding(new Uint8Array(0)),
    locations,
    new BlockCache(1000),
    new Clock(Date.now, () => 0),
  )
  log.learn('main', MOST, { sections: beyond ?? [], blocks: [] })
  const found = cids.map((cid) => locations.find(cid))
  expect(found.map((one) => (one === 'gone' ? one : one?.key))).toEqual([
    '0',
    String(MOST - 1),
    undefined,
  ])
  locations.drop('0')
  expect(locations.find(cids[0] ?? new Uint8Array(0))).toBe('gone')
  locations.close()
})

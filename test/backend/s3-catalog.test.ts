/** What is known of the packs of a bucket, while others fold commits into packs and beside a second look. */
import { expect, test, vi } from 'vitest'
import { BlockCache } from '../../src/backend/s3/block-cache.ts'
import { Catalog } from '../../src/backend/s3/catalog.ts'
import { Clock } from '../../src/backend/s3/clock.ts'
import { CommitLog } from '../../src/backend/s3/commit-log.ts'
import { headOf, PACKS } from '../../src/backend/s3/layout.ts'
import type { BucketBackend } from '../../src/backend/s3/index.ts'
import { Locations } from '../../src/backend/s3/locations.ts'
import type { Block } from '../../src/model/cid.ts'
import type { Bucket } from '../../src/s3/bucket.ts'
import { block, printed, readAll, request, stageAll } from '../conformance/material.ts'
import { HOUR, useSites, type Site } from './s3-kit.ts'

const newSite = useSites()

/** The request with this number waits until `release`. */
function holdRequest(site: Site, number: number): void {
  let count = 0
  site.disturb(() => (count++ === number ? 'hold' : undefined))
}

const MOVES: readonly [string, (writer: BucketBackend, living: Block) => Promise<unknown>][] = [
  ['the folding of its commit', async (writer) => await writer.forget('main', 1)],
  ['a compaction', async (writer) => await writer.compact()],
  [
    'a sweep',
    async (writer, { cid }) => {
      const sweep = await writer.sweep({ waitMs: 10_000 })
      await sweep.mark([{ cid, hold: 'self' }])
      await sweep.free()
      await sweep.end()
    },
  ],
]

/** Of one the folding writes a pack; the others write those that are staged anew. */
async function fill(site: Site, writer: BucketBackend): Promise<readonly [Block, Block]> {
  const [committed, staged] = [block(300), block(400)]
  await writer.commit(request(0, { blocks: [committed] }))
  for (let number = 1; number < 4; number++) await writer.commit(request(number))
  // Who looks for the newest commit begins behind the one with the block.
  await site.bucket.put(headOf('main'), Buffer.from('3'))
  await stageAll(writer, [staged, block(500)])
  for (let packs = 1; packs < 4; packs++) await stageAll(writer, [block(500)])
  return [committed, staged]
}

test.each(MOVES)(
  'a block is found whichever request of who looks for it comes behind %s',
  async (_, move) => {
    let held = 0
    for (let number = 0; held === number; number++) {
      const site = await newSite()
      const writer = await site.openPlain()
      const blocks = await fill(site, writer)
      const reader = await site.open()
      holdRequest(site, number)
      const found = readAll(reader, blocks)
      await Promise.race([found, vi.waitUntil(() => site.proxy.held() > 0, { timeout: 10_000 })])
      held += site.proxy.held()
      await move(writer, blocks[1])
      await site.proxy.release()
      expect(await found, `request ${number}`).toEqual(printed(blocks))
    }
    // The packs, the datasets, the marks, an index, and a block are asked for at least.
    expect(held).toBeGreaterThan(4)
  },
)

/** The next listing of packs waits until it is let go, and asks then what it was to ask before. */
function holdListing(bucket: Bucket): { isHeld: boolean; letGo: () => void } {
  const list = bucket.list.bind(bucket)
  const listing = { isHeld: false, letGo: () => {} }
  const spy = vi.spyOn(bucket, 'list').mockImplementation(async (under, options) => {
    if (under === PACKS) {
      spy.mockRestore()
      await new Promise<void>((letGo) => Object.assign(listing, { isHeld: true, letGo }))
    }
    return await list(under, options)
  })
  return listing
}

test('what is learned anew is all of the packs, also where a look for new ones was under way', async () => {
  const site = await newSite()
  const { bucket } = site
  const [old, young] = [block(300), block(400)]
  await stageAll(await site.openPlain({ now: () => Date.now() - 3 * HOUR }), [old])
  await stageAll(await site.openPlain(), [young])
  const clock = new Clock(Date.now, () => 0)
  const log = new CommitLog(bucket, new Locations(), new BlockCache(1 << 20), clock)
  const catalog = new Catalog(bucket, log)
  await catalog.refresh()
  const listing = holdListing(bucket)
  const looking = catalog.refresh()
  await vi.waitUntil(() => listing.isHeld)
  const anew = catalog.rebuild()
  listing.letGo()
  await Promise.all([looking, anew])
  expect(await catalog.locate([old.cid, young.cid])).not.toContain(undefined)
  catalog.close()
})

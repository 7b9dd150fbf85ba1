/** Sweeps of a bucket, beside writers who remember more than is there, sleep, and send what comes late. */
import { expect, test, vi } from 'vitest'
import type { BucketBackend } from '../../src/backend/s3/index.ts'
import { headOf, packKey, SWEEP } from '../../src/backend/s3/layout.ts'
import type { SweepState } from '../../src/backend/s3/sweep-state.ts'
import type { HeldBlock } from '../../src/store/backend.ts'
import {
  block,
  commitMany,
  expectError,
  identityCid,
  request,
  stageAll,
} from '../conformance/material.ts'
import { HOUR, isPutOf, once, useSites, type Site } from './s3-kit.ts'

const newSite = useSites()

async function sweepAll(backend: BucketBackend, marked: readonly HeldBlock[] = []): Promise<void> {
  const sweep = await backend.sweep({ waitMs: 10_000 })
  await sweep.mark(marked.map(({ cid }) => ({ cid, hold: 'self' })))
  await sweep.free()
  await sweep.end()
}

const relyOn = async (backend: BucketBackend, one: HeldBlock): Promise<boolean> =>
  (await backend.hasBlocks([one.cid], { rely: true }))[0] ?? false

const readRelying = async (backend: BucketBackend, one: HeldBlock): Promise<boolean> =>
  (await backend.getBlocks([one.cid], { rely: true }))[0] !== undefined

async function stateOf(site: Site): Promise<SweepState> {
  const got = await site.bucket.get(SWEEP)
  return JSON.parse(Buffer.from(got?.bytes ?? []).toString()) as SweepState
}

test('what was read before it was freed is not there for who relies on it', async () => {
  const site = await newSite()
  const writer = await site.openPlain()
  const reader = await site.openPlain()
  const one = block(500)
  await stageAll(writer, [one])
  expect(await reader.getBlocks([one.cid])).not.toEqual([undefined])
  await sweepAll(writer)
  expect(await readRelying(reader, one)).toBe(false)
  expect(await relyOn(reader, one)).toBe(false)
})

test('nobody relies on a block that only a folded commit still has', async () => {
  const site = await newSite()
  const writer = await site.openPlain()
  const one = block(500)
  expect(await writer.commit(request(0, { blocks: [one] }))).toBe('committed')
  const reader = await site.openPlain()
  expect(await relyOn(reader, one)).toBe(true)
  for (let number = 1; number <= 70; number++) await writer.commit(request(number))
  await writer.close()
  const marks = (await site.bucket.list('datasets/main/marks/')).objects.map(({ key }) => key)
  expect(marks.some((key) => key.includes('/folded-'))).toBe(true)
  const sweeper = await site.openPlain()
  await sweepAll(sweeper)
  // The commit lies there for another hour; then it goes, and nobody looks into it again.
  expect(await relyOn(reader, one)).toBe(false)
  expect(await readRelying(reader, one)).toBe(false)
  expect(await relyOn(await site.openPlain(), one)).toBe(false)
  await reader.getCommit('main', 0)
  expect(await relyOn(reader, one)).toBe(false)
  // Who comes cold with an old hint reads it as well.
  await site.bucket.put(headOf('main'), Buffer.from('0'))
  const cold = await site.openPlain()
  expect(await cold.newest('main', -1)).toBeDefined()
  expect(await relyOn(cold, one)).toBe(false)
})

test('what one relied on while a sweep was under way outlives the commit that it came with', async () => {
  const site = await newSite()
  const writer = await site.openPlain()
  const one = block(500)
  expect(await writer.commit(request(0, { blocks: [one] }))).toBe('committed')
  for (let number = 1; number <= 70; number++) await writer.commit(request(number))
  await writer.close()
  const reader = await site.openPlain()
  const sweeper = await site.openPlain({ now: () => Date.now() + 2 * HOUR })
  const sweep = await sweeper.sweep({ waitMs: 10_000 })
  expect(await relyOn(reader, one)).toBe(true)
  await sweep.free()
  await sweeper.forget('main', 60)
  await sweep.end()
  expect(await relyOn(await site.openPlain(), one)).toBe(true)
  expect(await readRelying(reader, one)).toBe(true)
})

test('a sweeper that dies while it marks has freed nothing, and another may sweep when its lease is void', async () => {
  const site = await newSite()
  const one = block(500)
  let hours = 0
  const dead = await site.open({ now: () => Date.now() + hours })
  await stageAll(dead, [one])
  const sweep = await dead.sweep({ waitMs: 5000 })
  site.disturb(() => 'lose')
  const other = await site.openPlain()
  await expectError(other.sweep({ waitMs: 300 }), 'busy')
  hours = 2 * HOUR
  const later = await site.openPlain({ now: () => Date.now() + hours })
  expect(await relyOn(later, one)).toBe(true)
  await sweepAll(later, [one])
  expect(await relyOn(later, one)).toBe(true)
  site.disturb(() => undefined)
  await sweep.end()
  expect((await stateOf(site)).begun).toBe(2)
})

test('of a sweeper that dies while it deletes nothing is lost that is needed; the next one ends its work', async () => {
  const site = await newSite()
  const [living, freed, gone] = [block(500), block(600), block(700)]
  let slept = 0
  const dead = await site.open({ now: () => Date.now() + slept })
  await stageAll(dead, [living, freed])
  const first = (await site.bucket.list('packs/')).objects.map(({ key }) => key)
  await stageAll(dead, [gone])
  const both = (await site.bucket.list('packs/')).objects.map(({ key }) => key)
  const reader = await site.openPlain({ now: () => Date.now() + 2 * HOUR })
  expect(await relyOn(reader, gone)).toBe(true)
  const sweep = await dead.sweep({ waitMs: 5000 })
  await sweep.mark([{ cid: living.cid, hold: 'self' }])
  let deleting = false
  site.disturb(({ operation }) => {
    deleting ||= operation === 'DeleteObjects'
    if (deleting) slept = HOUR
    return deleting ? 'lose' : undefined
  })
  await expect(sweep.free()).rejects.toThrow()
  expect((await stateOf(site)).phase).toBe('freeing')
  // As if half of it had been done.
  await site.bucket.delete(both.filter((key) => !first.includes(key)))
  expect(await relyOn(reader, living)).toBe(true)
  expect(await readRelying(reader, living)).toBe(true)
  expect(await relyOn(reader, gone)).toBe(false)
  await sweepAll(reader, [living])
  expect(await relyOn(reader, living)).toBe(true)
  expect(await relyOn(reader, freed)).toBe(false)
  site.disturb(() => undefined)
})

test('who sweeps and then sleeps too long deletes nothing, and does not say that it sweeps', async () => {
  const site = await newSite()
  let slept = 0
  const sleeper = await site.open({ now: () => Date.now() + slept })
  const one = block(500)
  await stageAll(sleeper, [one])
  const sweep = await sleeper.sweep({ waitMs: 5000 })
  // Between what was touched and the deleting.
  site.disturb(({ operation, query }) => {
    if (operation === 'ListObjectsV2' && query.get('prefix')?.includes('/touched/')) slept = HOUR
    return undefined
  })
  await expectError(sweep.free(), 'conflict')
  expect(await relyOn(await site.openPlain({ now: () => Date.now() + 2 * HOUR }), one)).toBe(true)
  const before = await stateOf(site)
  await sweep.end()
  expect(await stateOf(site)).toEqual(before)
})

test('a late word of the sweep before does not hide that another is under way', async () => {
  const site = await newSite()
  const first = await site.open()
  const one = block(500)
  await stageAll(first, [one])
  site.disturb(once('late', isPutOf(SWEEP)))
  await sweepAll(first, [one])
  const second = await site.openPlain({ graceMs: 1500 })
  const beginning = second.sweep({ waitMs: 5000 })
  while ((await stateOf(site)).begun < 2) await new Promise((resolve) => setTimeout(resolve, 20))
  await site.proxy.release()
  expect((await stateOf(site)).begun).toBe(1)
  const sweep = await beginning
  expect(await stateOf(site)).toMatchObject({ begun: 2, phase: 'marking' })
  expect(await relyOn(first, one)).toBe(true)
  await sweep.free()
  await sweep.end()
  expect(await relyOn(first, one)).toBe(true)
})

test('a staging that could not be renewed for half an hour commits nothing', async () => {
  const site = await newSite()
  let slept = 0
  const backend = await site.open({ now: () => Date.now() + slept })
  await commitMany(backend, 1)
  const staging = await backend.stage('main', 'a test')
  await staging.put([block(100)])
  await staging.flush()
  slept = HOUR / 2 + 1
  await expectError(backend.commit(request(1, { staging })), 'conflict')
  await staging.end('dropped')
})

test('those who look for blocks at the same time miss none while another learns anew where they are', async () => {
  const site = await newSite()
  const writer = await site.openPlain()
  const blocks = Array.from({ length: 12 }, () => block(200))
  for (const one of blocks) await stageAll(writer, [one])
  const readers = await site.openPlain()
  expect((await readers.hasBlocks(blocks.map(({ cid }) => cid))).every((is) => is)).toBe(true)
  await writer.compact()
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(
      blocks.flatMap(({ cid }) => [readers.getBlocks([cid]), readers.getBlocks([block(10).cid])]),
    )
    for (const [i, [bytes]] of answers.entries()) expect(bytes === undefined).toBe(i % 2 === 1)
    await writer.compact()
  }
})

test('packs of the same blocks have names of their own', () => {
  const index = new Uint8Array(40)
  expect(packKey(1, 100, false, index)).not.toBe(packKey(1, 100, false, index))
})

test('who said too late that it relies on a block, behind the deleting, is not told that it is there', async () => {
  const site = await newSite()
  const one = block(500)
  await stageAll(await site.openPlain(), [one])
  const reader = await site.open({ retryMs: 10_000 })
  const sweep = await (await site.openPlain()).sweep({ waitMs: 10_000 })
  site.disturb(once('hold', isPutOf('/touched/')))
  const relied = relyOn(reader, one)
  await vi.waitUntil(() => site.proxy.held() > 0)
  await sweep.free()
  await site.proxy.release()
  expect(await relied).toBe(false)
  await sweep.end()
})

test('what one relies on beside an inline block outlives the sweep', async () => {
  const site = await newSite()
  const one = block(500)
  await stageAll(await site.openPlain(), [one])
  const reader = await site.openPlain()
  const sweep = await (await site.openPlain()).sweep({ waitMs: 10_000 })
  const inline = identityCid(Buffer.from('three'))
  expect(await reader.hasBlocks([inline, one.cid], { rely: true })).toEqual([true, true])
  await sweep.free()
  await sweep.end()
  expect(await readRelying(await site.openPlain(), one)).toBe(true)
})

test('while it is not known whether a pack was deleted nobody relies on what is in it', async () => {
  const site = await newSite()
  const one = block(500)
  await stageAll(await site.openPlain(), [one])
  const sweeper = await site.open()
  const sweep = await sweeper.sweep({ waitMs: 10_000 })
  let deletes = 0
  site.disturb(({ operation }) => {
    if (operation !== 'DeleteObjects') return undefined
    deletes++
    return 'late'
  })
  const freeing = sweep.free().catch(() => {})
  await vi.waitUntil(() => deletes > 6, { timeout: 10_000 })
  const reader = await site.openPlain()
  const relied = relyOn(reader, one)
  await Promise.race([relied, new Promise((resolve) => setTimeout(resolve, 500))])
  site.disturb(() => undefined)
  await site.proxy.release()
  await freeing
  await sweep.end()
  expect(await relied).toBe(await readRelying(await site.openPlain(), one))
})

test('a store that is closed while its sweep deletes says that it has ended when it has', async () => {
  const site = await newSite()
  await stageAll(await site.openPlain(), [block(500)])
  const sweeper = await site.open()
  const sweep = await sweeper.sweep({ waitMs: 10_000 })
  site.disturb(once('hold', ({ operation }) => operation === 'DeleteObjects'))
  const freeing = sweep.free().catch(() => {})
  await vi.waitUntil(() => site.proxy.held() > 0)
  const closing = sweeper.close()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect((await stateOf(site)).phase).toBe('freeing')
  await site.proxy.release()
  await Promise.all([freeing, closing])
  expect((await stateOf(site)).phase).toBe('none')
})

test('a sweep does not begin while a compaction copies and deletes', async () => {
  const site = await newSite()
  for (let packs = 0; packs < 4; packs++) await stageAll(await site.openPlain(), [block(500)])
  const compacter = await site.open()
  site.disturb(once('hold', ({ operation }) => operation === 'DeleteObjects'))
  const compacting = compacter.compact()
  await vi.waitUntil(() => site.proxy.held() > 0)
  const other = await site.openPlain()
  await expectError(other.sweep({ waitMs: 300 }), 'busy')
  await site.proxy.release()
  await compacting
  await sweepAll(other)
})

test('a large commit whose blocks were staged too long ago is not made', async () => {
  const site = await newSite()
  let slept = 0
  const backend = await site.open({ now: () => Date.now() + slept })
  await commitMany(backend, 1)
  site.disturb((call) => {
    if (isPutOf('packs/')(call)) slept = HOUR / 2 + 1
    return undefined
  })
  const blocks = Array.from({ length: 3 }, () => block(4 << 20))
  await expectError(backend.commit(request(1, { blocks })), 'conflict')
})

test('an answer that comes behind a deleting does not bring back what it tells of', async () => {
  const site = await newSite()
  const [one, other] = [block(500), block(600)]
  const writer = await site.openPlain()
  await stageAll(writer, [one])
  const reader = await site.open({ retryMs: 10_000 })
  site.disturb(
    once(
      { after: 1000 },
      ({ operation, headers }) => operation === 'GetObject' && headers.range !== undefined,
    ),
  )
  const reading = reader.hasBlocks([one.cid])
  await new Promise((resolve) => setTimeout(resolve, 300))
  await sweepAll(writer)
  await stageAll(writer, [other])
  expect(await relyOn(reader, other)).toBe(true)
  await reading
  expect(await relyOn(reader, one)).toBe(false)
})

test('a pack is not written under a name so old that others would not look for it', async () => {
  const site = await newSite()
  let slept = 0
  const backend = await site.open({ now: () => Date.now() + slept })
  const staging = await backend.stage('main', 'a test')
  await staging.put([block(500)])
  site.disturb((call) => {
    if (!isPutOf('packs/')(call)) return undefined
    slept = HOUR
    return 'refuse'
  })
  await expectError(staging.flush(), 'conflict')
  expect((await site.bucket.list('packs/')).objects).toEqual([])
  await staging.end('dropped')
})

test('a sweep that is aborted while a delete is in doubt says no more, and leaves its lease to become void', async () => {
  const site = await newSite()
  await stageAll(await site.openPlain(), [block(500)])
  const sweep = await (await site.open()).sweep({ waitMs: 10_000 })
  let deletes = 0
  site.disturb(({ operation }) => {
    if (operation !== 'DeleteObjects') return undefined
    deletes++
    return 'lose'
  })
  const aborting = new AbortController()
  const aborted = expectError(sweep.free({ signal: aborting.signal }), 'aborted')
  await vi.waitUntil(() => deletes > 6, { timeout: 10_000 })
  aborting.abort()
  await aborted
  await sweep.end()
  expect((await stateOf(site)).phase).toBe('freeing')
  expect((await site.bucket.list('leases/sweep/')).objects.length).toBe(1)
})

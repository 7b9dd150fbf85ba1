/** Fail-overs: what was replaced writes no more, nothing that both had is lost, and no history forks. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { HandedOver, RejoinConflict } from '../../src/engine/replica/rejoin.ts'
import { withStaging } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit, START, tempDir } from '../helpers/engine.ts'
import { Random } from '../helpers/random.ts'
import { everythingOf, expectSame, expectSound } from '../helpers/replicas.ts'

/** As `cairn rejoin` does it. */
async function rejoin(
  old: Cairn,
  primary: Cairn,
  onConflict: (one: RejoinConflict) => void = () => expect.fail('a conflict'),
): Promise<HandedOver> {
  const handed = await old.handOver(primary, 'main', { onConflict })
  await old.sync(primary.asSource(), 'main', { adopt: true })
  return handed
}

interface Ground {
  readonly primary: Cairn
  readonly replica: Cairn
  readonly backends: readonly [ReturnType<typeof openMemory>, ReturnType<typeof openMemory>]
  readonly now: () => number
}

async function ground(): Promise<Ground> {
  let clock = START
  const now = (): number => (clock += 10)
  const backends = [openMemory(), openMemory()] as const
  const [primary, replica] = backends.map((backend) => new Cairn(backend, { now }))
  if (primary === undefined || replica === undefined) throw new Error('no ground')
  await primary.init('main', { chunkSize: 64 })
  return { primary, replica, backends, now }
}

/** The versions of each entity in the log of a dataset; in the order in which they were committed. */
async function historiesOf(dataset: Dataset): Promise<Map<string, number[]>> {
  const histories = new Map<string, number[]>()
  const positions: number[] = []
  const { items } = await dataset.log({ limit: 10_000 })
  for (const { entry, position } of items) {
    positions.push(position)
    histories.set(entry.pi, [...(histories.get(entry.pi) ?? []), entry.ver])
  }
  expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => a - b))
  return histories
}

test('a planned fail-over loses nothing, and back again', async () => {
  const { primary, replica, backends, now } = await ground()
  const old = await primary.dataset()
  await old.putBatch([
    { pi: 'a', value: 1 },
    { pi: 'b', value: 2 },
  ])
  await replica.sync(primary.asSource())
  await old.put('a', 11)
  const promoted = await replica.promote('main', { primary })
  expect(promoted).toMatchObject({ status: 'promoted', generation: 2, next: 3, fenced: true })
  expect(promoted.fork).toMatchObject({ generation: { number: 1 }, next: 3 })
  for (const write of [
    () => old.put('c', 3),
    () => old.build(),
    () => old.prune({ policy: { last: 1 } }),
  ])
    await expectRefused(write(), 'fenced')
  await expectRefused(replica.sync(primary.asSource()), 'fenced')
  const now_ = await replica.dataset()
  await now_.put('a', 111)
  expect((await replica.promote('main', { primary })).status).toBe('already_primary')
  const back = await rejoin(primary, replica)
  expect(back).toMatchObject({ status: 'handed_over', appended: 0, already: 0, conflicts: 0 })
  await expectSame(now_, backends[0], now)
  await expectRefused(old.put('c', 3), 'replica')
  // And back again.
  expect(await primary.promote('main', { primary: replica })).toMatchObject({
    generation: 3,
    fenced: true,
  })
  await old.put('c', 3)
  await expectRefused(now_.put('d', 4), 'fenced')
  await rejoin(replica, primary)
  await expectSame(old, backends[1], now)
  const { failovers } = await newestCommit(backends[0])
  expect(failovers).toMatchObject({ count: 2, forks: [{ next: 3 }, { next: 4 }] })
})

test('a primary that was cut off hands over what it alone had, and what does not fit is told', async () => {
  const { primary, replica, backends, now } = await ground()
  const old = await primary.dataset()
  await old.putBatch(['a', 'b', 'c', 'd'].map((pi) => ({ pi, value: `${pi}1` })))
  await replica.sync(primary.asSource())
  // Only the old one has these.
  await old.put('a', 'a2')
  await old.put('b', 'b2')
  await old.put('b', 'b3')
  await old.put('c', 'c2')
  await old.put('e', Buffer.alloc(2_000_000, 5))
  await old.append({ pi: 'd', tip: null })
  await old.build()
  // Rolled back while it was cut off: that makes it no newer.
  const { number } = await newestCommit(backends[0])
  await old.rollback({ commit: number - 1 })
  await old.rollback({ commit: number })
  expect(await replica.promote('main')).toMatchObject({ generation: 2, fenced: false })
  const heir = await replica.dataset()
  await heir.put('b', 'other')
  // A client that had no answer tries again at the new primary.
  await heir.put('c', 'c2')
  await heir.put('c', 'c3')
  await heir.put('f', 'f1')

  const conflicts: RejoinConflict[] = []
  const onConflict = (one: RejoinConflict): void => void conflicts.push(one)
  const broken = rejoin(primary, replica, () => {
    throw new Error('no room for the report')
  })
  await expect(broken).rejects.toThrow('no room')
  await expectRefused(old.put('a', 1), 'fenced')
  // What was appended again before it broke is there already.
  const report = await rejoin(primary, replica, onConflict)
  expect(report).toMatchObject({ status: 'handed_over', conflicts: 2 })
  expect(report.appended + report.already).toBe(4)
  expect(conflicts.map(({ pi, ver }) => [pi, ver])).toEqual([
    ['b', 2],
    ['b', 3],
  ])
  expect(await historiesOf(heir)).toEqual(
    new Map([
      ['a', [1, 2]],
      ['b', [1, 2]],
      ['c', [1, 2, 3]],
      ['d', [1, 2]],
      ['f', [1]],
      ['e', [1]],
    ]),
  )
  expect((await heir.get('d'))?.tip).toBeUndefined()
  await expectSame(heir, backends[0], now)
  for (const backend of backends) await expectSound(backend, await tempDir())
  expect(await rejoin(primary, replica, onConflict)).toMatchObject({
    status: 'already_replica',
  })
})

test('what a rejoin appended again stays so, and what failed is told, though the staging does not end', async () => {
  const { primary, replica, backends, now } = await ground()
  await replica.sync(primary.asSource())
  await (await primary.dataset()).put('a', Buffer.alloc(2_000_000, 5))
  await replica.promote('main')
  const logged: string[] = []
  const log = { info: () => {}, debug: () => {}, error: (event: string) => void logged.push(event) }
  const end = (): Promise<never> => Promise.reject(new Error('the store is down'))
  const put = (): Promise<never> => Promise.reject(new Error('the disk is full'))
  const full = new Cairn(
    withStaging(backends[1], () => ({ put, end })),
    { now, log },
  )
  await expect(rejoin(primary, full)).rejects.toThrow('the disk is full')
  const heir = new Cairn(
    withStaging(backends[1], () => ({ end })),
    { now, log },
  )
  expect(await rejoin(primary, heir)).toMatchObject({ status: 'handed_over', appended: 1 })
  expect(logged).toEqual(['staging.end_failed', 'staging.end_failed'])
  await expectSame(await heir.dataset(), backends[0], now)
})

test('whatever both sides wrote, each entry of the old primary is there or told, and no history forks', async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const { primary, replica, backends, now } = await ground()
    const random = new Random(seed)
    const old = await primary.dataset()
    const write = async (dataset: Dataset, times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        const ids = new Set(Array.from({ length: random.int(1, 5) }, () => `e${random.int(0, 40)}`))
        await dataset.putBatch([...ids].map((pi) => ({ pi, value: random.int(0, 1e9) })))
        if (random.int(0, 5) === 0) await dataset.build()
      }
    }
    await write(old, 10)
    await replica.sync(primary.asSource())
    const { next: forked } = (await old.pointer()).commit
    await write(old, random.int(0, 8))
    await replica.promote('main')
    const heir = await replica.dataset()
    await write(heir, random.int(0, 8))
    const before = (await heir.log({ limit: 10_000 })).items
    const alone = (await old.log({ since: forked, limit: 10_000 })).items
    const conflicts: RejoinConflict[] = []
    await rejoin(primary, replica, (one) => conflicts.push(one))
    const lines = ({ entry }: (typeof alone)[number]): string => `${entry.pi}@${entry.ver}`
    const after = (await heir.log({ limit: 10_000 })).items
    expect(after.slice(0, before.length), `seed ${seed}`).toEqual(before)
    const told = conflicts.map(({ pi, ver }) => `${pi}@${ver}`)
    const added = after.slice(before.length).map(lines)
    expect([...added, ...told].toSorted(), `seed ${seed}`).toEqual(alone.map(lines).toSorted())
    for (const versions of (await historiesOf(heir)).values())
      expect(versions, `seed ${seed}`).toEqual(versions.map((_, i) => i + 1))
    await expectSame(heir, backends[0], now)
  }
}, 30_000)

test('a higher version is no right to hide what the new primary wrote', async () => {
  const { primary, replica } = await ground()
  const old = await primary.dataset()
  await old.put('a', 'a1')
  await replica.sync(primary.asSource())
  await old.put('a', 'mine', { ver: 10 })
  await old.put('b', 'mine', { ver: 10 })
  await replica.promote('main')
  const heir = await replica.dataset()
  await heir.put('a', 'theirs')
  const told: string[] = []
  await rejoin(primary, replica, ({ pi, ver }) => told.push(`${pi}@${ver}`))
  expect(told).toEqual(['a@10'])
  expect((await heir.get('a'))?.ver).toBe(2)
  expect((await heir.get('b'))?.ver).toBe(10)
})

test('who was not replaced does not rejoin, and who does not know where it parted is told', async () => {
  const { primary, replica } = await ground()
  await (await primary.dataset()).put('a', 1)
  await replica.sync(primary.asSource())
  const onConflict = (): void => expect.fail()
  await expectRefused(rejoin(primary, replica, onConflict), 'conflict')
  expect(await everythingOf(await primary.dataset())).toMatchObject({ next: 1 })
  const stranger = new Cairn(openMemory())
  await stranger.open()
  await expectRefused(rejoin(stranger, primary, onConflict), 'conflict')
  expect((await collect((await replica.dataset()).entries())).length).toBe(1)
})

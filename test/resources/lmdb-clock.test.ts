/** A clock that jumps by days, back and forth, on the embedded store. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { Cairn } from '../../src/cairn.ts'
import { Random } from '../helpers/random.ts'
import { newestCommit, START } from '../helpers/engine.ts'
import { runWorker } from './lmdb-child.ts'

const DAY = 86_400_000

async function withClock(
  use: (clock: { now: number }, cairn: Cairn, dir: string) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-clock-'))
  const clock = { now: START }
  const cairn = new Cairn(await openLmdb({ dir, create: true, now: () => clock.now }), {
    now: () => clock.now,
  })
  try {
    await use(clock, cairn, dir)
  } finally {
    await cairn.close()
    await rm(dir, { recursive: true })
  }
}

test('commits never go back in time, and what has expired stays so', async () => {
  await withClock(async (clock, cairn, dir) => {
    const { dataset } = await cairn.init('main', { content: 'external' })
    const backend = await openLmdb({ dir, now: () => clock.now })
    const random = new Random(7)
    let latest = 0
    const gone = new Set<string>()
    for (let n = 0; n < 60; n++) {
      clock.now += random.int(-20, 22) * DAY
      const pi = `e-${n}`
      const exp = clock.now + random.int(-5, 30) * DAY
      await dataset.put(pi, { n }, { exp })
      if (n % 7 === 6) await dataset.build()
      const { ts } = await newestCommit(backend)
      expect(ts).toBeGreaterThanOrEqual(latest)
      latest = ts
      if (exp <= latest) gone.add(pi)
      const there = new Set<string>()
      for await (const entry of dataset.entries()) there.add(entry.pi)
      expect([...gone].filter((one) => there.has(one))).toEqual([])
      for (const one of there) expect(gone.has(one)).toBe(false)
    }
    expect(gone.size).toBeGreaterThan(5)
    await backend.close()
  })
})

test('a build, an export lease and a prune go on when the clock jumps back under them', async () => {
  await withClock(async (clock, cairn, dir) => {
    const { dataset } = await cairn.init('main', { content: 'external' })
    const backend = await openLmdb({ dir, now: () => clock.now })
    await dataset.put('a', { n: 1 })
    const staging = await backend.stage('main', 'a test')
    await staging.flush()
    const lease = await backend.lease('a reader')
    clock.now -= 10 * DAY
    expect(await backend.leases()).toEqual(['a reader'])
    // It is not void: a sweep waits for it in vain.
    await expect(backend.sweep({ waitMs: 0 })).rejects.toMatchObject({ code: 'busy' })
    await staging.end('dropped')
    const sweep = await backend.sweep({ waitMs: 1000 })
    await sweep.end()
    await lease.release()
    expect(await backend.leases()).toEqual([])
    await dataset.build()
    await dataset.prune({ policy: { last: 1 } })
    await backend.close()
  })
})

test('a lease of a time to come does not hold when its process has died', async () => {
  await withClock(async (clock, _cairn, dir) => {
    const { signal } = await runWorker('diesHolding', { folder: dir, now: START + 3650 * DAY })
    expect(signal).toBe('SIGKILL')
    const backend = await openLmdb({ dir, now: () => clock.now })
    expect(await backend.leases()).toEqual([])
    const sweep = await backend.sweep({ waitMs: 0 })
    await sweep.end()
    await backend.close()
  })
})

test('retention by age goes by the snapshots, whatever the clock says', async () => {
  await withClock(async (clock, cairn) => {
    const { dataset } = await cairn.init('main', { content: 'external' })
    for (let n = 0; n < 5; n++) {
      clock.now = START + n * DAY
      await dataset.put('a', { n })
      await dataset.build()
    }
    const kept = async (): Promise<number[]> => {
      const found: number[] = []
      for await (const { seq } of dataset.snapshots()) found.push(seq)
      return found
    }
    // All is of a time to come, or made by a clock that ran ahead: nothing goes.
    clock.now = START - 100 * DAY
    await dataset.prune({ policy: { withinMs: 2.5 * DAY } })
    expect(await kept()).toEqual([5, 4, 3, 2, 1, 0])
    clock.now = START + 3650 * DAY
    await dataset.prune({ policy: { withinMs: 2.5 * DAY } })
    expect(await kept()).toEqual([5, 4, 3])
    expect(await dataset.get('a')).toMatchObject({ ver: 5 })
  })
})

/** What the contract says of forgetting, leases and compacting; every backend runs it. */
import { expect, test } from 'vitest'
import type { Backend } from '../../src/store/backend.ts'
import { commitMany, plain, printed, readAll, request } from './material.ts'
import type { Start } from './material.ts'
import { makeBlocks } from './sweep-material.ts'

// --- Forgetting -------------------------------------------------------------------------------------

/** What is not forgotten is a range without gaps up to the newest; answers its beginning. */
async function expectRange(backend: Backend, written: readonly Uint8Array[]): Promise<number> {
  const oldest = (await backend.oldest('main')) ?? -1
  for (const [number, bytes] of written.entries()) {
    const stored = plain(await backend.getCommit('main', number))
    expect(stored, `commit ${number}`).toEqual(number < oldest ? undefined : bytes)
  }
  return oldest
}

export function forgettingTests(start: Start): void {
  test('what is forgotten was below the number, and the rest is without gaps', async () => {
    const { backend, second } = await start()
    const written = await commitMany(backend, 6)
    for (const below of [0, 2, 2, 4, 1]) {
      await backend.forget('main', below)
      expect(await expectRange(backend, written)).toBeLessThanOrEqual(4)
    }
    if (second) expect(await expectRange(await second(), written)).toBeLessThanOrEqual(4)
    expect(await backend.commit(request(6))).toBe('committed')
    expect((await backend.newest('main', 5))?.number).toBe(6)
  })

  test('the newest two commits are never forgotten', async () => {
    const { backend } = await start()
    const written = await commitMany(backend, 5)
    await backend.forget('main', 1_000_000)
    expect(await expectRange(backend, written)).toBeLessThanOrEqual(3)
    await commitMany(backend, 1, 'short')
    await backend.forget('short', 1)
    expect(await backend.oldest('short')).toBe(0)
  })

  test('a number that was forgotten cannot be written again', async () => {
    const { backend } = await start()
    await commitMany(backend, 6)
    await backend.forget('main', 4)
    const oldest = (await backend.oldest('main')) ?? 0
    expect(await backend.commit(request(1))).toBe(oldest > 1 ? 'forgotten' : 'conflict')
    expect((await backend.newest('main', -1))?.number).toBe(5)
  })

  test('of a commit whose number was forgotten no store says that it was not made', async () => {
    const { backend, second } = await start()
    const made = Array.from({ length: 6 }, (_, number) => request(number))
    for (const one of made) expect(await backend.commit(one)).toBe('committed')
    await backend.forget('main', 4)
    for (const opened of second ? [backend, await second()] : [backend]) {
      const oldest = (await opened.oldest('main')) ?? 0
      const outcomes = await Promise.all(made.map((one) => opened.commit(one)))
      expect(outcomes).toEqual(
        made.map(({ number }) => (number < oldest ? 'forgotten' : 'committed')),
      )
    }
    expect(await backend.commit(request(8))).toBe('conflict')
    expect((await backend.newest('main', -1))?.number).toBe(5)
  })

  test('forgetting in a dataset leaves the others alone, also where there is none', async () => {
    const { backend } = await start()
    await commitMany(backend, 5, 'a')
    const written = await commitMany(backend, 5)
    await backend.forget('a', 3)
    await backend.forget('none', 3)
    expect(await expectRange(backend, written)).toBe(0)
    expect(await backend.datasets()).toEqual(['a', 'main'])
  })
}

// --- Leases -----------------------------------------------------------------------------------------

export function leaseTests(start: Start): void {
  test('the notes of leases are listed until they are released', async () => {
    const { backend, second } = await start()
    expect(await backend.leases()).toEqual([])
    const one = await backend.lease('keeps snapshot 1')
    const two = await backend.lease('keeps snapshot 2: "ö"')
    const same = await backend.lease('keeps snapshot 1')
    const reader = second ? await second() : backend
    expect((await reader.leases()).toSorted()).toEqual([
      'keeps snapshot 1',
      'keeps snapshot 1',
      'keeps snapshot 2: "ö"',
    ])
    await one.release()
    await one.release()
    await two.release()
    expect(await reader.leases()).toEqual(['keeps snapshot 1'])
    await same.release()
    expect(await reader.leases()).toEqual([])
  })

  test('a lease ends with the opening of the store that took it', async () => {
    const { backend, second } = await start()
    if (!second) return
    const other = await second()
    const lease = await other.lease('an export')
    expect(await backend.leases()).toEqual(['an export'])
    await other.close()
    expect(await backend.leases()).toEqual([])
    await lease.release()
  })

  test('leases hinder no sweep, and stagings are none', async () => {
    const { backend } = await start()
    const lease = await backend.lease('an export')
    const sweep = await backend.sweep({ waitMs: 0 })
    const staging = await backend.stage('main', 'a build')
    expect(await backend.leases()).toEqual(['an export'])
    await staging.end('dropped')
    await sweep.end()
    await lease.release()
  })
}

// --- Compacting -------------------------------------------------------------------------------------

export function compactingTests(start: Start): void {
  test('compacting keeps all that is held, for every opening of the store', async () => {
    const { backend, second } = await start()
    const blocks = await makeBlocks(20)
    expect(await backend.commit(request(0, { blocks }))).toBe('committed')
    const other = second ? await second() : backend
    const sizes = await backend.compact()
    expect(sizes.after ?? 0).toBeLessThanOrEqual(sizes.before ?? 0)
    for (const opening of [backend, other]) {
      expect(await readAll(opening, blocks)).toEqual(printed(blocks))
      expect((await opening.newest('main', -1))?.number).toBe(0)
    }
    expect(await other.commit(request(1, { blocks: await makeBlocks(2) }))).toBe('committed')
    expect((await backend.newest('main', -1))?.number).toBe(1)
  })
}

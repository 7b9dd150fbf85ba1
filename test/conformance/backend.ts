/**
 * What `src/store/backend.ts` promises, as tests that every backend runs:
 *
 *     backendConformance('lmdb', async () => ({ backend, reopen, second, dispose }))
 *
 * Nothing here depends on time, or on how a backend keeps things. Every test gets a store of its own.
 */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { isCairnError } from '../../src/errors.ts'
import type { Backend, Sweep } from '../../src/store/backend.ts'
import {
  block,
  commitMany,
  expectError,
  identityCid,
  plain,
  print,
  printed,
  rawBlock,
  readAll,
  request,
  stageAll,
} from './material.ts'
import type { OpenedBackend, Start } from './material.ts'
import { healTests } from './heal.ts'
import { sweepRaceTests } from './sweep-races.ts'
import { sweepingTests } from './sweep.ts'
import { compactingTests, forgettingTests, leaseTests } from './upkeep.ts'

export type { OpenedBackend } from './material.ts'

export interface ConformanceOptions {
  /** How many rounds a race runs: fewer for slow backends. */
  readonly rounds?: number
  /** What its sweeps free; `blocks` unless given. */
  readonly frees?: Sweep['frees']
}

const MAX_BLOCK = 2 ** 20

export function backendConformance(
  name: string,
  open: () => Promise<OpenedBackend>,
  options: ConformanceOptions = {},
): void {
  const disposals: (() => Promise<void>)[] = []
  const start: Start = async () => {
    const opened = await open()
    disposals.push(async () => await opened.dispose())
    return opened
  }
  afterEach(async () => {
    for (const dispose of disposals.splice(0)) await dispose()
  })
  describe(`${name}: blocks`, () => blockTests(start))
  describe(`${name}: staging`, () => stagingTests(start))
  describe(`${name}: commits`, () => commitTests(start))
  describe(`${name}: reading commits`, () => readingTests(start))
  describe(`${name}: races`, () => raceTests(start, options.rounds ?? 50))
  describe(`${name}: healing`, () => healTests(start))
  describe(`${name}: forgetting`, () => forgettingTests(start))
  describe(`${name}: leases`, () => leaseTests(start))
  describe(`${name}: sweeping`, () => sweepingTests(start, options.frees ?? 'blocks'))
  describe(`${name}: sweeping beside writers`, () => sweepRaceTests(start, options.rounds ?? 50))
  describe(`${name}: compacting`, () => compactingTests(start))
  describe(`${name}: aborting and closing`, () => endingTests(start))
}

// --- Blocks -----------------------------------------------------------------------------------------

function blockTests(start: Start): void {
  test('blocks of every size come back as they were', async () => {
    const { backend } = await start()
    const sizes = [0, 1, 23, 200, 4096, 8000, 65_536, 400_000, MAX_BLOCK]
    const blocks = sizes.map((size) => rawBlock(new Uint8Array(randomBytes(size))))
    await stageAll(backend, blocks)
    expect(await readAll(backend, blocks)).toEqual(printed(blocks))
  })

  test('answers have the order of the question, repeated and missing ones included', async () => {
    const { backend } = await start()
    const [a, b, missing] = [block(10), block(20), block(30)]
    await stageAll(backend, [a, b])
    const asked = [b, missing, a, b, missing]
    expect(await readAll(backend, asked)).toEqual(
      [b, missing, a, b, missing].map((one) => (one === missing ? undefined : print(one.bytes))),
    )
    const has = await backend.hasBlocks(asked.map(({ cid }) => cid))
    expect(has).toEqual([true, false, true, true, false])
  })

  test('asking for nothing gives nothing', async () => {
    const { backend } = await start()
    expect(await backend.getBlocks([])).toEqual([])
    expect(await backend.hasBlocks([])).toEqual([])
  })

  test('an empty store has no blocks', async () => {
    const { backend } = await start()
    expect(await readAll(backend, [block(10)])).toEqual([undefined])
    expect(await backend.hasBlocks([block(10).cid])).toEqual([false])
  })

  test('the same bytes under two codecs are read under both', async () => {
    const { backend } = await start()
    const asCbor = block(100)
    const asRaw = rawBlock(asCbor.bytes)
    await stageAll(backend, [asCbor, asRaw])
    expect(await readAll(backend, [asRaw, asCbor])).toEqual(printed([asCbor, asCbor]))
    expect(await backend.hasBlocks([asCbor.cid, asRaw.cid])).toEqual([true, true])
  })

  test('a block whose CID contains its bytes is always there', async () => {
    const { backend } = await start()
    const bytes = new Uint8Array(randomBytes(20))
    const inline = { cid: identityCid(bytes), bytes, hold: 'self' } as const
    expect(await readAll(backend, [inline])).toEqual([print(bytes)])
    expect(await backend.hasBlocks([inline.cid])).toEqual([true])
    await stageAll(backend, [inline, block(10)])
    expect(await readAll(backend, [inline])).toEqual([print(bytes)])
  })

  test('writing a block again is no error', async () => {
    const { backend } = await start()
    const [a, b] = [block(100), block(200)]
    await stageAll(backend, [a, a])
    await stageAll(backend, [b, a])
    const outcome = await backend.commit(request(0, { blocks: [a, b], content: [b] }))
    expect(outcome).toBe('committed')
    expect(await readAll(backend, [a, b])).toEqual(printed([a, b]))
  })

  test('bytes that were handed out may be scribbled on', async () => {
    const { backend } = await start()
    const small = block(50)
    const large = block(300_000)
    const inline = identityCid(new Uint8Array([1, 2, 3]))
    await stageAll(backend, [small, large])
    const cids = [small.cid, large.cid, inline]
    for (const bytes of await backend.getBlocks(cids)) bytes?.fill(0xff)
    const again = (await backend.getBlocks(cids)).map(print)
    expect(again).toEqual([small.bytes, large.bytes, new Uint8Array([1, 2, 3])].map(print))
    expect(inline).toEqual(identityCid(new Uint8Array([1, 2, 3])))
  })

  test('an answer stays as it is while others are read', async () => {
    const { backend } = await start()
    const blocks = Array.from({ length: 20 }, (_, i) => block(1000 + i))
    await stageAll(backend, blocks)
    const answers = await Promise.all(blocks.map(async (one) => await readAll(backend, [one])))
    expect(answers.flat()).toEqual(printed(blocks))
  })

  test('a CID that is none is refused', async () => {
    const { backend } = await start()
    await expectError(backend.getBlocks([new Uint8Array([1, 0x71, 0x12])]), 'invalid_entry')
    await expectError(backend.hasBlocks([new Uint8Array(0)]), 'invalid_entry')
  })
}

// --- Staging ----------------------------------------------------------------------------------------

function stagingTests(start: Start): void {
  test('what was flushed is readable before any commit names it', async () => {
    const { backend, second } = await start()
    const blocks = Array.from({ length: 50 }, (_, i) => block(i * 37))
    const staging = await backend.stage('main', 'a build')
    await staging.put(blocks.slice(0, 30))
    await staging.put(blocks.slice(30))
    await staging.flush()
    expect(await readAll(backend, blocks)).toEqual(printed(blocks))
    if (second) expect(await readAll(await second(), blocks)).toEqual(printed(blocks))
    await staging.end('committed')
  })

  test('what was flushed is there after a restart', async () => {
    const { backend, reopen } = await start()
    if (!reopen) return
    const blocks = [block(10), block(100_000)]
    const staging = await backend.stage('main', 'a build')
    await staging.put(blocks)
    await staging.flush()
    await staging.end('committed')
    expect(await readAll(await reopen(), blocks)).toEqual(printed(blocks))
  })

  test('a staging takes more than it can buffer', async () => {
    const { backend } = await start()
    const blocks = Array.from({ length: 40 }, () => block(1_000_000))
    const staging = await backend.stage('main', 'a build')
    for (const one of blocks) await staging.put([one])
    await staging.flush()
    await staging.end('committed')
    const found = await backend.hasBlocks(blocks.map(({ cid }) => cid))
    expect(found.every(Boolean)).toBe(true)
    const probe = blocks.slice(-3)
    expect(await readAll(backend, probe)).toEqual(printed(probe))
  })

  test('bytes may be used again once a staging was flushed', async () => {
    const { backend } = await start()
    const original = block(5000)
    const reused = { ...original, cid: original.cid.slice(), bytes: original.bytes.slice() }
    const staging = await backend.stage('main', 'a build')
    await staging.put([reused])
    await staging.flush()
    reused.bytes.fill(0)
    reused.cid.fill(0)
    await staging.end('committed')
    expect(await readAll(backend, [original])).toEqual([print(original.bytes)])
  })

  test('flushing with nothing to write is no error, and a staging can go on after it', async () => {
    const { backend } = await start()
    const [a, b] = [block(10), block(20)]
    const staging = await backend.stage('main', 'a build')
    await staging.flush()
    await staging.put([a])
    await staging.flush()
    await staging.put([b])
    await staging.flush()
    await staging.flush()
    await staging.end('committed')
    expect(await readAll(backend, [a, b])).toEqual(printed([a, b]))
  })

  test('dropping a staging takes no block from a commit that names it', async () => {
    const { backend } = await start()
    const one = block(100)
    const staging = await backend.stage('main', 'a build')
    await staging.put([one])
    await staging.flush()
    expect(await backend.commit(request(0, { blocks: [one] }))).toBe('committed')
    await staging.end('dropped')
    expect(await readAll(backend, [one])).toEqual([print(one.bytes)])
  })

  test('several stagings run at once, beside commits', async () => {
    const { backend } = await start()
    const shared = block(64)
    const groups = Array.from({ length: 4 }, () => [
      ...Array.from({ length: 8 }, () => block(3000)),
      shared,
    ])
    const [commits] = await Promise.all([
      commitMany(backend, 5),
      ...groups.map(async (group) => await stageAll(backend, group)),
    ])
    expect((await readAll(backend, groups.flat())).every((bytes) => bytes !== undefined)).toBe(true)
    expect(plain((await backend.newest('main', -1))?.bytes)).toEqual(commits[4])
  })
}

// --- Commits ----------------------------------------------------------------------------------------

function commitTests(start: Start): void {
  test('the first commit has number 0, and each next one the next number', async () => {
    const { backend } = await start()
    const written = await commitMany(backend, 5)
    const newest = await backend.newest('main', -1)
    expect(newest?.number).toBe(4)
    expect(plain(newest?.bytes)).toEqual(written[4])
  })

  test('a commit brings its blocks and its content', async () => {
    const { backend } = await start()
    const [one, two, content] = [block(100), block(8000), rawBlock(new Uint8Array(randomBytes(77)))]
    await backend.commit(request(0, { blocks: [one, two], content: [content] }))
    expect(await readAll(backend, [content, two, one])).toEqual(printed([content, two, one]))
  })

  test('a number that is not the next is a conflict, and nothing of it becomes current', async () => {
    const { backend } = await start()
    expect(await backend.commit(request(1))).toBe('conflict')
    expect(await backend.newest('main', -1)).toBeUndefined()
    const [first, second] = await commitMany(backend, 2)
    expect(await backend.commit(request(3))).toBe('conflict')
    expect(await backend.commit(request(0))).toBe('conflict')
    expect(await backend.commit(request(1))).toBe('conflict')
    expect(await backend.newest('main', 1)).toBeUndefined()
    expect(plain(await backend.getCommit('main', 0))).toEqual(first)
    expect(plain(await backend.getCommit('main', 1))).toEqual(second)
    expect(await backend.getCommit('main', 3)).toBeUndefined()
  })

  test('the same request made again is committed, and changes nothing', async () => {
    const { backend, second } = await start()
    const again = request(0, { blocks: [block(100)] })
    expect(await backend.commit(again)).toBe('committed')
    expect(await backend.commit(again)).toBe('committed')
    if (second) expect(await (await second()).commit(again)).toBe('committed')
    expect(await backend.newest('main', 0)).toBeUndefined()
  })

  test('the same request is still committed when others came after it', async () => {
    const { backend } = await start()
    const first = request(0, { blocks: [block(100)] })
    await backend.commit(first)
    await backend.commit(request(1))
    expect(await backend.commit(first)).toBe('committed')
    expect((await backend.newest('main', -1))?.number).toBe(1)
  })

  test('the same number with other bytes is a conflict', async () => {
    const { backend } = await start()
    const won = request(0)
    await backend.commit(won)
    expect(await backend.commit(request(0, { blocks: [block(100)] }))).toBe('conflict')
    const longer = new Uint8Array([...won.bytes, 0x20])
    expect(await backend.commit(request(0, { bytes: longer }))).toBe('conflict')
    expect(plain((await backend.newest('main', -1))?.bytes)).toEqual(won.bytes)
  })

  test('bytes may be used again once the commit has settled', async () => {
    const { backend } = await start()
    const one = block(500)
    const kept = { cid: one.cid.slice(), bytes: one.bytes.slice() }
    const made = request(0, { blocks: [one] })
    const bytes = made.bytes.slice()
    await backend.commit(made)
    made.bytes.fill(0)
    one.bytes.fill(0)
    one.cid.fill(0)
    expect(plain(await backend.getCommit('main', 0))).toEqual(bytes)
    expect(await readAll(backend, [kept])).toEqual([print(kept.bytes)])
  })

  test('datasets have their own numbers', async () => {
    const { backend } = await start()
    await commitMany(backend, 3, 'a')
    await commitMany(backend, 1, 'a-b')
    expect((await backend.newest('a', -1))?.number).toBe(2)
    expect((await backend.newest('a-b', -1))?.number).toBe(0)
    expect(await backend.newest('b', -1)).toBeUndefined()
    expect(await backend.getCommit('a-b', 1)).toBeUndefined()
  })

  test('commits and their blocks are there after a restart', async () => {
    const { backend, reopen } = await start()
    if (!reopen) return
    const one = block(100)
    const written = await commitMany(backend, 3)
    await backend.commit(request(3, { blocks: [one] }))
    const again = await reopen()
    expect((await again.newest('main', -1))?.number).toBe(3)
    expect(plain(await again.getCommit('main', 2))).toEqual(written[2])
    expect(await readAll(again, [one])).toEqual([print(one.bytes)])
    expect(await again.commit(request(4))).toBe('committed')
  })
}

function readingTests(start: Start): void {
  test('`newest` answers only with what is newer', async () => {
    const { backend } = await start()
    expect(await backend.newest('main', -1)).toBeUndefined()
    const written = await commitMany(backend, 3)
    for (const than of [-1, 0, 1]) {
      const newest = await backend.newest('main', than)
      expect(newest?.number).toBe(2)
      expect(plain(newest?.bytes)).toEqual(written[2])
    }
    expect(await backend.newest('main', 2)).toBeUndefined()
  })

  test('a store without the commit that the caller has seen is not the store it was', async () => {
    const { backend } = await start()
    await expectError(backend.newest('main', 0), 'store_changed')
    await commitMany(backend, 2)
    await expectError(backend.newest('main', 2), 'store_changed')
    await expectError(backend.newest('other', 0), 'store_changed')
    expect(await backend.newest('main', 1)).toBeUndefined()
  })

  test('`newest` sees a commit of its own process at once, however often it was asked before', async () => {
    const { backend } = await start()
    for (let number = 0; number < 10; number++) {
      expect(await backend.newest('main', number - 1)).toBeUndefined()
      await backend.commit(request(number))
      expect((await backend.newest('main', number - 1))?.number).toBe(number)
    }
  })

  test('`newest` sees what another opening of the store committed', async () => {
    const { backend, second } = await start()
    if (!second) return
    const other = await second()
    for (let number = 0; number < 10; number++) {
      const [writer, reader] = number % 2 === 0 ? [backend, other] : [other, backend]
      expect(await reader.newest('main', number - 1)).toBeUndefined()
      await writer.commit(request(number))
      expect((await reader.newest('main', number - 1))?.number).toBe(number)
    }
  })

  test('any kept commit is read by its number', async () => {
    const { backend } = await start()
    const written = await commitMany(backend, 4)
    for (const [number, bytes] of written.entries()) {
      expect(plain(await backend.getCommit('main', number))).toEqual(bytes)
    }
    expect(await backend.getCommit('main', 4)).toBeUndefined()
    expect(await backend.getCommit('main', -1)).toBeUndefined()
    expect(await backend.getCommit('none', 0)).toBeUndefined()
  })

  test('commits that were handed out may be scribbled on', async () => {
    const { backend } = await start()
    const [bytes] = await commitMany(backend, 1)
    ;(await backend.getCommit('main', 0))?.fill(0)
    ;(await backend.newest('main', -1))?.bytes.fill(0)
    expect(plain(await backend.getCommit('main', 0))).toEqual(bytes)
    expect(plain((await backend.newest('main', -1))?.bytes)).toEqual(bytes)
  })

  test('`oldest` names the lowest number that is kept', async () => {
    const { backend } = await start()
    expect(await backend.oldest('main')).toBeUndefined()
    await commitMany(backend, 3)
    expect(await backend.oldest('main')).toBe(0)
    expect(await backend.oldest('other')).toBeUndefined()
  })

  test('`datasets` lists those that have a commit, sorted', async () => {
    const { backend } = await start()
    expect(await backend.datasets()).toEqual([])
    for (const name of ['main', 'b', 'a-1', 'a', 'a_1']) await commitMany(backend, 1, name)
    await backend.commit(request(7, { dataset: 'lost' }))
    await stageAll(backend, [block(1)])
    expect(await backend.datasets()).toEqual(['a', 'a-1', 'a_1', 'b', 'main'])
  })

  test('`status` can be asked for', async () => {
    const { backend } = await start()
    const status = await backend.status()
    expect([true, false, undefined]).toContain(status.synced)
    expect(status.sizeBytes ?? 0).toBeGreaterThanOrEqual(0)
    expect(status.freeBytes ?? 0).toBeGreaterThanOrEqual(0)
    expect(Array.isArray(status.notes)).toBe(true)
  })
}

// --- Races ------------------------------------------------------------------------------------------

function raceTests(start: Start, rounds: number): void {
  test('of many commits on one number exactly one wins, whoever made them', async () => {
    const { backend, second } = await start()
    const writers = [backend, second ? await second() : backend]
    for (let number = 0; number < rounds; number++) {
      const requests = Array.from({ length: 6 }, () => request(number, { blocks: [block(40)] }))
      const outcomes = await Promise.all(
        requests.map(async (one, i) => await (writers[i % 2] ?? backend).commit(one)),
      )
      expect(outcomes.toSorted()).toEqual(['committed', ...Array<string>(5).fill('conflict')])
      const winner = requests[outcomes.indexOf('committed')]
      expect(plain(await backend.getCommit('main', number))).toEqual(winner?.bytes)
      expect(await readAll(backend, winner?.blocks ?? [])).toEqual(printed(winner?.blocks ?? []))
    }
  })

  test('writers that retry after a conflict lose nothing and skip no number', async () => {
    const { backend, second } = await start()
    const other = second ? await second() : backend
    const each = Math.max(2, Math.floor(rounds / 5))
    const acknowledged = new Map<number, Uint8Array>()
    const write = async (writer: Backend): Promise<void> => {
      let seen = -1
      for (let done = 0; done < each;) {
        seen = (await writer.newest('main', seen))?.number ?? seen
        const made = request(seen + 1)
        if ((await writer.commit(made)) !== 'committed') continue
        expect(acknowledged.has(made.number)).toBe(false)
        acknowledged.set(made.number, made.bytes)
        done++
      }
    }
    await Promise.all([write(backend), write(other), write(backend), write(other)])
    expect([...acknowledged.keys()].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 4 * each }, (_, i) => i),
    )
    for (const [number, bytes] of acknowledged) {
      expect(plain(await backend.getCommit('main', number))).toEqual(bytes)
    }
  })

  test('the same request made several times at once is committed each time', async () => {
    const { backend } = await start()
    for (let number = 0; number < Math.min(rounds, 10); number++) {
      const same = request(number, { blocks: [block(40)] })
      const outcomes = await Promise.all([1, 2, 3].map(async () => await backend.commit(same)))
      expect(outcomes).toEqual(['committed', 'committed', 'committed'])
    }
  })
}

// --- Ends -------------------------------------------------------------------------------------------

/** Every call of a backend, by name. */
function everyCall(backend: Backend, signal?: AbortSignal): Record<string, () => Promise<unknown>> {
  return {
    getBlocks: async () => await backend.getBlocks([block(1).cid], { signal }),
    hasBlocks: async () => await backend.hasBlocks([block(1).cid], { signal }),
    heal: async () => await backend.heal([block(1)], { signal }),
    stage: async () => await backend.stage('main', 'a test', { signal }),
    newest: async () => await backend.newest('main', -1, { signal }),
    getCommit: async () => await backend.getCommit('main', 0, { signal }),
    oldest: async () => await backend.oldest('main', { signal }),
    datasets: async () => await backend.datasets({ signal }),
    commit: async () => await backend.commit(request(0), { signal }),
    forget: async () => await backend.forget('main', 1, { signal }),
    lease: async () => await backend.lease('a test', { signal }),
    leases: async () => await backend.leases({ signal }),
    sweeps: async () => await backend.sweeps({ signal }),
    sweep: async () => await backend.sweep({ waitMs: 0, signal }),
    compact: async () => await backend.compact({ signal }),
    status: async () => await backend.status({ signal }),
  }
}

function endingTests(start: Start): void {
  test('a signal that has aborted makes every call reject, and a commit not happen', async () => {
    const { backend } = await start()
    for (const call of Object.values(everyCall(backend, AbortSignal.abort()))) {
      await expectError(call(), 'aborted')
    }
    expect(await backend.newest('main', -1)).toBeUndefined()
    const staging = await backend.stage('main', 'a test')
    await expectError(staging.put([block(1)], { signal: AbortSignal.abort() }), 'aborted')
    await expectError(staging.flush({ signal: AbortSignal.abort() }), 'aborted')
    await staging.end('dropped')
  })

  test('a signal that aborts during a commit leaves no doubt about it', async () => {
    const { backend } = await start()
    const abort = new AbortController()
    const made = request(0)
    const outcome = backend.commit(made, { signal: abort.signal }).catch((error: unknown) => error)
    abort.abort()
    const settled = await outcome
    const stored = plain(await backend.getCommit('main', 0))
    if (settled === 'committed') expect(stored).toEqual(made.bytes)
    else if (isCairnError(settled, 'aborted')) expect(stored).toBeUndefined()
    else expect(isCairnError(settled, 'commit_unknown')).toBe(true)
  })

  test('a staging takes nothing more from the moment on that its end is asked for', async () => {
    const { backend } = await start()
    const staging = await backend.stage('main', 'a test')
    await staging.put([{ ...block(1), hold: 'staged' }])
    const ended = staging.end('dropped')
    await expectError(staging.put([{ ...block(2), hold: 'staged' }]), 'closed')
    await expectError(staging.flush(), 'closed')
    await ended
  })

  test('after `close` every call is refused, and closing again is no error', async () => {
    const { backend } = await start()
    await commitMany(backend, 1)
    const staging = await backend.stage('main', 'a test')
    await backend.close()
    for (const call of Object.values(everyCall(backend))) await expectError(call(), 'closed')
    await expectError(staging.put([block(1)]), 'closed')
    await expectError(staging.flush(), 'closed')
    await staging.end('dropped')
    await backend.close()
  })

  test('`close` lets a commit that is under way settle one way or the other', async () => {
    const { backend, reopen } = await start()
    const made = request(0, { blocks: [block(100)] })
    const outcome = backend.commit(made).catch((error: unknown) => error)
    await Promise.all([backend.close(), backend.close()])
    const settled = await outcome
    if (settled !== 'committed') expect(isCairnError(settled)).toBe(true)
    if (!reopen) return
    const stored = plain(await (await reopen()).getCommit('main', 0))
    if (settled === 'committed') expect(stored).toEqual(made.bytes)
    else if (!isCairnError(settled, 'commit_unknown')) expect(stored).toBeUndefined()
  })

  test('closing one opening of a store leaves the others open', async () => {
    const { backend, second } = await start()
    if (!second) return
    const other = await second()
    await other.close()
    expect(await backend.commit(request(0))).toBe('committed')
    expect((await (await second()).newest('main', -1))?.number).toBe(0)
  })
}

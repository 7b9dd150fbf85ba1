/** What the contract says of sweeping; every backend runs it. sweep-races.ts has what happens all at once. */
import { expect, test } from 'vitest'
import type { Backend, HeldBlock, Sweep } from '../../src/store/backend.ts'
import {
  block,
  expectError,
  print,
  printed,
  rawBlock,
  readAll,
  request,
  stageAll,
} from './material.ts'
import type { Start } from './material.ts'
import { WAIT_MS, all, cidsOf, has, held, makeBlocks, sweepAll } from './sweep-material.ts'

/** `frees`: as the sweeps of the backend say. */
export function sweepingTests(start: Start, frees: Sweep['frees']): void {
  freeingTests(start)
  markingTests(start)
  beginningTests(start)
  protectingTests(start, frees)
  committingTests(start)
  if (frees === 'holds') return
  waitingTests(start)
  relyingTests(start)
  sweptTests(start)
}

function freeingTests(start: Start): void {
  test('what has no mark is freed, and what has one stays', async () => {
    const { backend, second } = await start()
    const [kept, garbage] = [await makeBlocks(40, backend), await makeBlocks(60, backend)]
    const committed = await makeBlocks(3)
    await backend.commit(request(0, { blocks: committed }))
    const { freed, frees } = await sweepAll(backend, {
      keep: [...kept, ...committed],
      offer: [...garbage, ...kept],
    })
    expect(await has(backend, garbage)).toEqual(all(garbage, false))
    expect(await readAll(backend, [...kept, ...committed])).toEqual(
      printed([...kept, ...committed]),
    )
    if (frees === 'holds') expect(freed.blocks).toBeGreaterThan(0)
    else {
      expect(freed.blocks).toBe(garbage.length)
      expect(freed.bytes).toBe(garbage.reduce((sum, { bytes }) => sum + bytes.length, 0))
    }
    if (second) expect(await has(await second(), garbage)).toEqual(all(garbage, false))
  })

  test('what was freed can be written again, and the next sweep has nothing to do', async () => {
    const { backend } = await start()
    const garbage = await makeBlocks(5, backend)
    await sweepAll(backend, { offer: garbage })
    await stageAll(backend, garbage)
    expect(await readAll(backend, garbage)).toEqual(printed(garbage))
    await sweepAll(backend, { offer: garbage })
    expect(await has(backend, garbage)).toEqual(all(garbage, false))
    expect((await sweepAll(backend, { offer: garbage })).freed.blocks).toBe(0)
  })

  test('a sweep that ends without `free` has freed nothing', async () => {
    const { backend } = await start()
    const blocks = await makeBlocks(5, backend)
    const sweep = await backend.sweep({ waitMs: WAIT_MS })
    await sweep.offer(held(blocks))
    await sweep.end()
    await sweep.end()
    if (sweep.frees === 'holds') await backend.compact()
    expect(await readAll(backend, blocks)).toEqual(printed(blocks))
    await expectError(sweep.mark(held(blocks)), 'closed')
    await expectError(sweep.free(), 'closed')
  })

  test('freeing that was aborted can go on', async () => {
    const { backend } = await start()
    const garbage = await makeBlocks(20, backend)
    const sweep = await backend.sweep({ waitMs: WAIT_MS })
    await sweep.offer(held(garbage))
    await expectError(sweep.free({ signal: AbortSignal.abort() }), 'aborted')
    const progress: number[] = []
    const { blocks } = await sweep.free({ onProgress: (done) => progress.push(done) })
    expect(progress.at(-1)).toBe(blocks)
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
    await sweep.end()
    if (sweep.frees === 'holds') await backend.compact()
    expect(await has(backend, garbage)).toEqual(all(garbage, false))
  })

  test('freed blocks stay freed after a restart, and the others stay', async () => {
    const { backend, reopen } = await start()
    if (!reopen) return
    const [kept, garbage] = [await makeBlocks(5, backend), await makeBlocks(5, backend)]
    await sweepAll(backend, { keep: kept, offer: garbage })
    const again = await reopen()
    expect(await has(again, garbage)).toEqual(all(garbage, false))
    expect(await readAll(again, kept)).toEqual(printed(kept))
  })
}

function markingTests(start: Start): void {
  test('marking tells what was not marked before', async () => {
    const { backend } = await start()
    const [a, b, c] = (await makeBlocks(3, backend)) as [HeldBlock, HeldBlock, HeldBlock]
    const sweep = await backend.sweep({ waitMs: WAIT_MS })
    const late = (await makeBlocks(1, backend)) as [HeldBlock]
    expect(await sweep.mark([])).toEqual([])
    expect(await sweep.mark(held([a, b, a]))).toEqual([true, true, false])
    expect(await sweep.mark(held([c, b, late[0]]))).toEqual([true, false, true])
    expect(await sweep.mark(held([late[0], c]))).toEqual([false, false])
    await sweep.end()
  })

  test('a block that is marked under one codec is not yet marked under another', async () => {
    const { backend } = await start()
    const asCbor = block(80)
    const asRaw = rawBlock(asCbor.bytes)
    await stageAll(backend, [asCbor, asRaw])
    const sweep = await backend.sweep({ waitMs: WAIT_MS })
    expect(await sweep.mark(held([asRaw]))).toEqual([true])
    // Whoever follows links must be sent to look for those that only this codec sees.
    expect(await sweep.mark(held([asCbor]))).toEqual([true])
    expect(await sweep.mark(held([asRaw, asCbor]))).toEqual([false, false])
    await sweep.free()
    await sweep.end()
    expect(await readAll(backend, [asCbor, asRaw])).toEqual(printed([asCbor, asRaw]))
  })
}

function beginningTests(start: Start): void {
  test('one sweep at a time, whoever begins it', async () => {
    const { backend, second } = await start()
    const other = second ? await second() : backend
    const sweep = await backend.sweep({ waitMs: WAIT_MS })
    await expectError(other.sweep({ waitMs: 100 }), 'busy')
    await sweep.end()
    await (await other.sweep({ waitMs: WAIT_MS })).end()
  })

  test('a sweep ends with the opening of the store that began it', async () => {
    const { backend, second } = await start()
    if (!second) return
    const other = await second()
    const sweep = await other.sweep({ waitMs: WAIT_MS })
    await other.close()
    await sweep.end()
    await expectError(sweep.free(), 'closed')
    await (await backend.sweep({ waitMs: WAIT_MS })).end()
  })
}

function waitingTests(start: Start): void {
  test('a sweep waits for the stagings that were there before, and no others', async () => {
    const { backend, second } = await start()
    const staging = await backend.stage('main', 'a build')
    const sweeper = second ? await second() : backend
    await expectError(sweeper.sweep({ waitMs: 100 }), 'busy')
    let begun = false
    const sweeping = sweeper.sweep({ waitMs: WAIT_MS }).then((sweep) => {
      begun = true
      return sweep
    })
    while ((await backend.sweeps()) < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    const later = await backend.stage('main', 'another build')
    expect(begun).toBe(false)
    await staging.end('committed')
    const sweep = await sweeping
    await sweep.free()
    await sweep.end()
    await later.end('dropped')
  })

  test('a sweep that was aborted while it waited is not under way', async () => {
    const { backend } = await start()
    const staging = await backend.stage('main', 'a build')
    const signal = AbortSignal.timeout(50)
    await expectError(backend.sweep({ waitMs: WAIT_MS, signal }), 'aborted')
    await staging.end('dropped')
    await (await backend.sweep({ waitMs: WAIT_MS })).end()
  })
}

/** Ways to use blocks while a sweep is under way, each of which must keep them. */
const USES: Record<string, (backend: Backend, blocks: readonly HeldBlock[]) => Promise<unknown>> = {
  'put in a staging': stageAll,
  'put in a staging that goes on': async (backend, blocks) => {
    const staging = await backend.stage('main', 'a build')
    await staging.put(blocks)
    await staging.flush()
  },
  'put with a commit': async (backend, blocks) => await backend.commit(request(0, { blocks })),
  'looked for with `rely`': async (backend, blocks) =>
    await backend.hasBlocks(cidsOf(blocks), { rely: true }),
  'read with `rely`': async (backend, blocks) =>
    await backend.getBlocks(cidsOf(blocks), { rely: true }),
}

function protectingTests(start: Start, frees: Sweep['frees']): void {
  for (const [how, use] of Object.entries(USES)) {
    if (frees === 'holds' && how.endsWith('`rely`')) continue
    test(`what was ${how} since the sweep began stays, though it has no mark`, async () => {
      const { backend, second } = await start()
      const other = second ? await second() : backend
      const [used, garbage, fresh] = [
        await makeBlocks(20, backend),
        await makeBlocks(20, backend),
        await makeBlocks(5),
      ]
      const meanwhile = async (): Promise<void> => {
        await use(other, used)
        if (how.startsWith('put')) await use(backend, fresh)
      }
      await sweepAll(backend, { offer: [...used, ...garbage], meanwhile })
      expect(await readAll(backend, used)).toEqual(printed(used))
      expect(await has(backend, garbage)).toEqual(all(garbage, false))
      if (how.includes('staging')) expect(await readAll(backend, fresh)).toEqual(printed(fresh))
    })
  }
}

/** Stores that free whatever has no mark know what is relied on, and by whom. */
function relyingTests(start: Start): void {
  test('what was relied on in one sweep is freed by the next, when nobody needs it', async () => {
    const { backend } = await start()
    const blocks = await makeBlocks(5, backend)
    const meanwhile = async (): Promise<unknown> =>
      await backend.getBlocks(cidsOf(blocks), { rely: true })
    await sweepAll(backend, { offer: blocks, meanwhile })
    expect(await has(backend, blocks)).toEqual(all(blocks, true))
    await sweepAll(backend, { offer: blocks })
    expect(await has(backend, blocks)).toEqual(all(blocks, false))
  })

  test('a read with `rely` answers like any other, sweep or not', async () => {
    const { backend } = await start()
    const [a, missing] = [block(100), block(200)]
    await stageAll(backend, [a])
    const cids = [missing.cid, a.cid, missing.cid, a.cid]
    const expectAnswers = async (): Promise<void> => {
      const read = await backend.getBlocks(cids, { rely: true })
      expect(read.map(print)).toEqual([undefined, print(a.bytes), undefined, print(a.bytes)])
      expect(await backend.hasBlocks(cids, { rely: true })).toEqual([false, true, false, true])
    }
    await expectAnswers()
    await sweepAll(backend, { keep: [a], offer: [], meanwhile: expectAnswers })
    await expectAnswers()
  })

  test('what a staging found before a sweep began stays until the staging has ended', async () => {
    const { backend } = await start()
    const blocks = await makeBlocks(5, backend)
    const staging = await backend.stage('main', 'a build')
    expect(await backend.hasBlocks(cidsOf(blocks), { rely: true })).toEqual(all(blocks, true))
    await expectError(backend.sweep({ waitMs: 50 }), 'busy')
    expect(await backend.commit(request(0, { staging }))).toBe('committed')
    await staging.end('committed')
    await sweepAll(backend, { keep: blocks, offer: blocks })
    expect(await readAll(backend, blocks)).toEqual(printed(blocks))
  })
}

function committingTests(start: Start): void {
  test('a commit that names its staging is committed while that goes on', async () => {
    const { backend } = await start()
    const staging = await backend.stage('main', 'a build')
    await staging.put(await makeBlocks(2))
    await staging.flush()
    expect(await backend.commit(request(0, { staging }))).toBe('committed')
    const sweeping = backend.sweep({ waitMs: WAIT_MS })
    expect(await backend.commit(request(1, { staging }))).toBe('committed')
    await staging.end('committed')
    await (await sweeping).end()
  })

  test('a commit that is there, or lost its race, is so whatever was swept', async () => {
    const { backend } = await start()
    const made = request(0, { sweeps: await backend.sweeps() })
    await backend.commit(made)
    await (await backend.sweep({ waitMs: WAIT_MS })).end()
    expect(await backend.commit(made)).toBe('committed')
    expect(await backend.commit(request(0, { sweeps: 0 }))).toBe('conflict')
  })
}

function sweptTests(start: Start): void {
  test('a commit that relies on what it saw before a sweep began is `swept`', async () => {
    const { backend, second } = await start()
    const other = second ? await second() : backend
    const sweeps = await other.sweeps()
    const fresh = block(70)
    expect(await other.commit(request(0, { sweeps }))).toBe('committed')
    const sweep = await backend.sweep({ waitMs: WAIT_MS })
    const made = request(1, { sweeps, blocks: [fresh] })
    expect(await other.commit(made)).toBe('swept')
    expect(await other.newest('main', 0)).toBeUndefined()
    await sweep.end()
    expect(await other.commit(made)).toBe('swept')
    const now = await other.sweeps()
    expect(now).toBeGreaterThan(sweeps)
    expect(await backend.sweeps()).toBe(now)
    expect(await other.commit({ ...made, sweeps: now })).toBe('committed')
    expect(await readAll(backend, [fresh])).toEqual(printed([fresh]))
  })
}

/** Writers and sweeps that meet in every way; every backend runs it. */
import { expect, test } from 'vitest'
import type { Backend, HeldBlock, Staging } from '../../src/store/backend.ts'
import { printed, readAll } from './material.ts'
import type { Start } from './material.ts'
import { WAIT_MS, cidsOf, held, makeBlocks } from './sweep-material.ts'

/** How many of the newest commits are kept, with the blocks that they name. */
const KEPT = 3
const POOL = 24

interface Named {
  readonly number: number
  readonly names: readonly number[]
}

/**
 * Writers whose commits name blocks of a small pool, so that a sweep condemns at any time what one of
 * them is about to use again.
 */
export function sweepRaceTests(start: Start, rounds: number): void {
  test('nothing that a kept commit names is missing, however sweeps and writers meet', async () => {
    const { backend, second } = await start()
    const other = second ? await second() : backend
    const pool = await makeBlocks(POOL)
    let writing = 4
    const write = async (writer: Backend, commit: typeof commitByLooking): Promise<void> => {
      for (let done = 0; done < Math.max(4, rounds / 2); done++) await commit(writer, pool)
      writing--
    }
    const sweep = async (): Promise<void> => {
      while (writing > 0) {
        await sweepOnce(backend, pool)
        await expectNamedThere(backend, pool)
      }
    }
    await Promise.all([
      write(other, commitByLooking),
      write(backend, commitByLooking),
      write(other, commitByStaging),
      write(backend, commitByStaging),
      sweep(),
    ])
    await sweepOnce(backend, pool)
    await expectNamedThere(backend, pool)
  })
}

function pick(): number[] {
  return Array.from({ length: 4 }, () => Math.floor(Math.random() * POOL))
}

async function nextNumber(backend: Backend): Promise<number> {
  return ((await backend.newest('main', -1))?.number ?? -1) + 1
}

const naming = (names: readonly number[]): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ nonce: Math.random(), names }))

function chosen(pool: readonly HeldBlock[], names: readonly number[]): HeldBlock[] {
  return pool.filter((_, i) => names.includes(i))
}

/** Looks which blocks are there, and brings those that are missing. */
async function commitByLooking(backend: Backend, pool: readonly HeldBlock[]): Promise<void> {
  const names = pick()
  for (;;) {
    const sweeps = await backend.sweeps()
    const wanted = chosen(pool, names)
    const there = await backend.hasBlocks(cidsOf(wanted), { rely: true })
    const blocks = wanted.filter((_, i) => there[i] === false)
    const number = await nextNumber(backend)
    const made = { dataset: 'main', number, bytes: naming(names), blocks, sweeps }
    if ((await backend.commit(made)) === 'committed') return
  }
}

/** Puts some blocks ahead, and reads others. */
async function commitByStaging(backend: Backend, pool: readonly HeldBlock[]): Promise<void> {
  const names = pick()
  const staging: Staging = await backend.stage('main', 'a race')
  const wanted = chosen(pool, names)
  await staging.put(wanted.slice(0, 1))
  const rest = wanted.slice(1)
  const read = await backend.getBlocks(cidsOf(rest), { rely: true })
  await staging.put(rest.filter((_, i) => read[i] === undefined))
  await staging.flush()
  for (;;) {
    const number = await nextNumber(backend)
    const made = { dataset: 'main', number, bytes: naming(names), blocks: [], staging }
    if ((await backend.commit(made)) === 'committed') break
  }
  await staging.end('committed')
}

async function sweepOnce(backend: Backend, pool: readonly HeldBlock[]): Promise<void> {
  const sweep = await backend.sweep({ waitMs: WAIT_MS })
  for (const { names } of await namedByKept(backend)) await sweep.mark(held(chosen(pool, names)))
  await sweep.offer(held(pool))
  await sweep.free()
  await backend.forget('main', (await nextNumber(backend)) - KEPT)
  await sweep.end()
}

/** The newest commits, at most `KEPT`, as of now. */
async function namedByKept(backend: Backend): Promise<Named[]> {
  const next = await nextNumber(backend)
  const named: Named[] = []
  for (let number = Math.max(0, next - KEPT); number < next; number++) {
    const bytes = await backend.getCommit('main', number)
    if (bytes === undefined) throw new Error(`commit ${number} is missing`)
    named.push({ number, ...(JSON.parse(new TextDecoder().decode(bytes)) as { names: number[] }) })
  }
  return named
}

/** What is kept now was kept, or was not there yet, when the last sweep marked. */
async function expectNamedThere(backend: Backend, pool: readonly HeldBlock[]): Promise<void> {
  for (const { names } of await namedByKept(backend)) {
    const named = chosen(pool, names)
    expect(await readAll(backend, named)).toEqual(printed(named))
  }
}

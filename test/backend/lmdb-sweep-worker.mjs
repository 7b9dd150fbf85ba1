/**
 * Other processes on a store that is swept, for lmdb-sweep.test.ts and lmdb-compact.test.ts:
 * node lmdb-sweep-worker.mjs DIST TASK DIR [ARG]. Each says what it did in lines on its standard output.
 *
 * The blocks are those of a pool, by number; a commit names four of them, and the newest KEPT commits
 * are kept with what they name. So sweeps condemn at any time what a writer is about to use.
 */
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'

const [dist, task, dir, arg] = process.argv.slice(2)
const { openLmdb } = await import(`${dist}/backend/lmdb/index.js`)
const { rawCidOf } = await import(`${dist}/model/cid.js`)

const POOL = 400
const KEPT = 20

const say = (line) => writeSync(1, `${line}\n`)
const sleep = async (ms) => await new Promise((resolve) => setTimeout(resolve, ms))

/** The tests make the same. */
function blockOf(number) {
  const seed = createHash('sha256').update(`pool ${number}`).digest()
  const size = 100 + (number % 10) * 2000
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at += seed.length) {
    bytes.set(seed.subarray(0, Math.min(seed.length, size - at)), at)
  }
  return { cid: rawCidOf(bytes), bytes, hold: 'self' }
}

const pool = Array.from({ length: POOL }, (_, i) => blockOf(i))
const cidsOf = (names) => names.map((name) => pool[name].cid)
const pick = () => Array.from({ length: 4 }, () => Math.floor(Math.random() * POOL))
const encode = (names) => new TextEncoder().encode(JSON.stringify({ nonce: Math.random(), names }))
const newestNumber = async (backend) => (await backend.newest('main', -1))?.number ?? -1

/** Looks which blocks are there, and brings those that are missing. */
async function commitByLooking(backend, names) {
  for (;;) {
    const sweeps = await backend.sweeps()
    const there = await backend.hasBlocks(cidsOf(names), { rely: true })
    if (Math.random() < 0.3) await sleep(Math.random() * 5)
    const blocks = names.filter((_, i) => !there[i]).map((name) => pool[name])
    const number = (await newestNumber(backend)) + 1
    const made = { dataset: 'main', number, bytes: encode(names), blocks, sweeps }
    if ((await backend.commit(made)) === 'committed') return number
  }
}

/** Brings all blocks, there or not. */
async function commitByBringing(backend, names) {
  for (;;) {
    const number = (await newestNumber(backend)) + 1
    const blocks = names.map((name) => pool[name])
    const made = { dataset: 'main', number, bytes: encode(names), blocks }
    if ((await backend.commit(made)) === 'committed') return number
  }
}

/** Puts some blocks ahead, and reads others. */
async function commitByStaging(backend, names) {
  const staging = await backend.stage('main', 'a writer')
  try {
    await staging.put([pool[names[0]]])
    const rest = names.slice(1)
    const read = await backend.getBlocks(cidsOf(rest), { rely: true })
    if (Math.random() < 0.5) await staging.flush()
    if (Math.random() < 0.3) await sleep(Math.random() * 5)
    await staging.put(rest.filter((_, i) => read[i] === undefined).map((name) => pool[name]))
    await staging.flush()
    for (;;) {
      const number = (await newestNumber(backend)) + 1
      const made = { dataset: 'main', number, bytes: encode(names), blocks: [], staging }
      if ((await backend.commit(made)) === 'committed') return number
    }
  } finally {
    await staging.end('dropped')
  }
}

/** What an acknowledged commit names is there for as long as the commit is kept. */
async function check(backend, number, names) {
  const read = await backend.getBlocks(cidsOf(names))
  const lost = names.filter(
    (name, i) => read[i] === undefined || !Buffer.from(read[i]).equals(pool[name].bytes),
  )
  if (lost.length > 0 && (await newestNumber(backend)) - number < KEPT) {
    throw new Error(`commit ${number} lost blocks ${lost.join(' ')}`)
  }
}

async function sweepOnce(backend) {
  const sweep = await backend.sweep({ waitMs: 10_000 })
  const newest = await newestNumber(backend)
  for (let number = Math.max(0, newest - KEPT + 1); number <= newest; number++) {
    const bytes = await backend.getCommit('main', number)
    const { names } = JSON.parse(new TextDecoder().decode(bytes))
    await sweep.mark(names.map((name) => ({ cid: pool[name].cid, hold: 'self' })))
  }
  const { blocks } = await sweep.free()
  await backend.forget('main', newest - KEPT + 1)
  await sweep.end()
  return blocks
}

/** Until somebody says stop. */
async function until(work) {
  let stopped = false
  process.stdin.once('data', () => (stopped = true))
  while (!stopped) await work()
  process.stdin.destroy()
}

const tasks = {
  /** Commits in every way, and looks whether it is true; says each number. */
  async write(backend) {
    const ways = [commitByLooking, commitByBringing, commitByStaging]
    const recent = []
    await until(async () => {
      const names = pick()
      const number = await ways[Math.floor(Math.random() * ways.length)](backend, names)
      say(number)
      recent.push([number, names])
      if (recent.length > 5) recent.shift()
      for (const one of recent) await check(backend, ...one)
    })
  },

  /** Sweeps one time after the other; says how many blocks each freed. */
  async sweep(backend) {
    await until(async () => say(await sweepOnce(backend)))
  },

  /** One sweep that marks every ARGth of the blocks `block-0`, `block-1`, ... that the test has put. */
  async free(backend) {
    const [count, every] = arg.split(' ').map(Number)
    const sweep = await backend.sweep({ waitMs: 0 })
    const cids = Array.from({ length: count }, (_, n) =>
      rawCidOf(new TextEncoder().encode(`block-${n}`)),
    )
    await sweep.mark(cids.filter((_, n) => n % every === 0).map((cid) => ({ cid, hold: 'self' })))
    say('marked')
    await sweep.free({ onProgress: (done) => say(done) })
    await sweep.end()
    say('freed')
  },

  async forget(backend) {
    say('forgetting')
    await backend.forget('main', Number(arg))
    say('forgotten')
  },

  /** Opens the store and compacts it, one time after the other; `busy` means that others were there. */
  async compact(backend) {
    await backend.close()
    await until(async () => {
      await sleep(Math.random() * 100)
      const again = await openLmdb({ dir }).catch(() => undefined)
      if (again === undefined) return
      say('compacting')
      const outcome = await again.compact().catch((error) => error)
      say(outcome instanceof Error ? outcome.code : 'compacted')
      await again.close()
    })
  },

  /** Has a staging and a lease, or a sweep, and waits to be told to end, or to be killed. */
  async hold(backend) {
    if (arg === 'sweep') await backend.sweep({ waitMs: 0 })
    else {
      const staging = await backend.stage('main', 'of a process')
      await staging.put([blockOf(0)])
      await staging.flush()
      await backend.lease('of a process')
    }
    say('holding')
    await new Promise((resolve) => process.stdin.once('data', resolve))
    process.stdin.destroy()
  },

  /** Opens the store, commits once, and ends. */
  async once(backend) {
    say(await commitByBringing(backend, pick()))
  },
}

try {
  const backend = await openLmdb({ dir, create: true })
  await tasks[task](backend)
  await backend.close()
} catch (error) {
  say(`error ${error.code ?? error.stack}`)
  process.exit(1)
}

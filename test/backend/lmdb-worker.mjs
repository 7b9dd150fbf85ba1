/**
 * A second process on a store, for lmdb-processes.test.ts: node lmdb-worker.mjs DIST TASK DIR [ARG].
 * It tells what it did in lines on its standard output, written before it goes on.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [dist, task, dir, arg] = process.argv.slice(2)
const { openLmdb } = await import(`${dist}/backend/lmdb/index.js`)
const { openLmdbFiles } = await import(`${dist}/backend/lmdb/tables.js`)
const { rawCidOf } = await import(`${dist}/model/cid.js`)

const say = (line) => writeSync(1, `${line}\n`)

/** The block that commit `number` brings; the tests make the same. */
function blockOf(number, size = 3000) {
  const bytes = new Uint8Array(size)
  const seed = createHash('sha256').update(String(number)).digest()
  for (let at = 0; at < size; at += seed.length) {
    bytes.set(seed.subarray(0, Math.min(seed.length, size - at)), at)
  }
  return { cid: rawCidOf(bytes), bytes, hold: 'self' }
}

async function commitNext(backend, seen, writer) {
  const newest = (await backend.newest('main', seen))?.number ?? seen
  const number = newest + 1
  const bytes = new TextEncoder().encode(`${writer} ${number}`)
  const outcome = await backend.commit({
    dataset: 'main',
    number,
    bytes,
    blocks: [blockOf(number)],
  })
  return outcome === 'committed' ? number : undefined
}

const tasks = {
  /** Opens, commits, closes; then the process must end by itself. */
  async once(backend) {
    say(await commitNext(backend, -1, 'once'))
    await backend.close()
  },

  /** Holds the writer's lock until it is killed. */
  async lock() {
    openLmdbFiles(dir).transactionSync(() => {
      say('locked')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })
  },

  /** Keeps the store open until it is killed or told to stop. */
  async hold(backend) {
    say('open')
    await new Promise((resolve) => process.stdin.once('data', resolve))
    await backend.close()
    process.stdin.destroy()
  },

  /** Commits and stages until it is killed; says each number that was acknowledged. */
  async commits(backend) {
    const staging = await backend.stage('main', 'beside the commits')
    for (let n = 1_000_000_000; ; n++) {
      const number = await commitNext(backend, -1, 'commits')
      if (number !== undefined) say(number)
      await staging.put([blockOf(n, 200_000)])
    }
  },

  /** Does what each line says: `commit`, and says the number, or `read N`, and says what is newer than that. */
  async steps(backend) {
    say('open')
    for await (const line of createInterface({ input: process.stdin })) {
      const [task, than] = line.split(' ')
      let number
      while (task === 'commit' && number === undefined)
        number = await commitNext(backend, -1, `steps-${process.pid}`)
      say(number ?? (await backend.newest('main', Number(than)))?.number ?? 'none')
    }
    await backend.close()
  },

  /** Commits ARG times against others, says the numbers it got. */
  async race(backend) {
    for (let done = 0; done < Number(arg);) {
      const number = await commitNext(backend, -1, `race-${process.pid}`)
      if (number === undefined) continue
      say(number)
      done++
    }
    await backend.close()
  },

  /**
   * Reads in one long chain of microtasks, in which no timer and no message gets a turn. The file ARG
   * says which commit was acknowledged elsewhere before the read began.
   */
  async watch(backend) {
    say('open')
    const seen = new Set()
    let behind = 0
    for (;;) {
      const acknowledged = Number(readFileSync(arg, 'utf8'))
      if (acknowledged === -2) break
      const number = (await backend.newest('main', -1))?.number ?? -1
      if (number < acknowledged) behind++
      seen.add(number)
    }
    say(JSON.stringify({ behind, seen: seen.size }))
    await backend.close()
  },
}

try {
  const pidNamespace = process.env.FAKE_PID_NAMESPACE
  const backend = await openLmdb({
    dir,
    create: true,
    ...(pidNamespace === undefined ? {} : { pidNamespace: async () => pidNamespace }),
  })
  await tasks[task](backend)
} catch (error) {
  say(`error ${error.code}`)
  process.exitCode = 1
}

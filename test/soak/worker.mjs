/**
 * A process that works on a store until it is killed: node worker.mjs DIST ROLE STORE OPTIONS, OPTIONS being
 * JSON. Each effect is named before it begins, each write before and after it, in lines of JSON on its
 * standard output: `{"at": "commit"}`, `{"begun": [...]}`, `{"acked": [...]}`.
 */
import { writeSync } from 'node:fs'
import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'

const [dist, role, store, json] = process.argv.slice(2)
const options = JSON.parse(json)
const { Cairn } = await import(`${dist}/index.js`)

const say = (line) => writeSync(1, `${JSON.stringify(line)}\n`)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** What it does next is decided by its seed; mulberry32. */
let state = options.seed >>> 0
function random() {
  state = (state + 0x6d2b79f5) >>> 0
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}
const below = (count) => Math.floor(random() * count)

/** What is under way, for the names of steps. */
let work = ''
let step = 'opening'
const at = (name) => say({ at: (step = work === '' ? name : `${work}: ${name}`) })

/** Requests to a node are steps of steps. */
function tellOfRequests() {
  const { request } = http
  http.request = (url, ...more) => {
    const command = new URL(url).pathname.replace('/api/v0/', '')
    say({ at: `${step}, ${command}` })
    return request(url, ...more)
  }
  syncBuiltinESMExports()
}

/** Replaces methods of an object by ones that say their names first. The store knows it by its identity. */
function telling(object, ...methods) {
  for (const method of methods) {
    const real = object[method].bind(object)
    object[method] = (...args) => {
      at(method)
      return real(...args)
    }
  }
  return object
}

function giving(object, method, ...methods) {
  const real = object[method].bind(object)
  object[method] = async (...args) => {
    at(method)
    return telling(await real(...args), ...methods)
  }
}

/**
 * A node that is gone is not waited for: the test has killed it. By a clock that is far ahead, leases of those
 * who died in the rounds before are void.
 */
async function openStore() {
  if (store.startsWith('kubo:')) {
    tellOfRequests()
    const { openKubo } = await import(`${dist}/backend/kubo/index.js`)
    const now = () => Date.now() + options.aheadMs
    return openKubo({ url: store.slice('kubo:'.length), retryMs: 200, now })
  }
  const { openBackend } = await import(`${dist}/compose.js`)
  return openBackend(store, { create: false })
}

async function openTelling() {
  const backend = await openStore()
  giving(backend, 'stage', 'put', 'flush', 'end')
  giving(backend, 'sweep', 'mark', 'offer', 'free', 'end')
  telling(backend, 'commit', 'forget')
  const dataset = await new Cairn(backend).dataset('main')
  return { backend, dataset }
}

/** One write of one to three entities, which are this process's alone. */
async function writeSome(dataset, known) {
  const pis = Object.keys(known)
  const count = random() < 0.7 ? 1 : 3
  const chosen = new Set(Array.from({ length: count }, () => pis[below(pis.length)]))
  const puts = [...chosen].map((pi) => {
    const ver = known[pi] + 1
    const gone = random() < 0.15
    return gone
      ? { pi, ver, tip: null }
      : { pi, ver, value: { pi, ver, text: 'x'.repeat(below(300)) } }
  })
  for (const { pi, ver } of puts) known[pi] = ver
  say({ begun: puts.map(({ pi, ver }) => ({ pi, ver })) })
  at('begun')
  const answers = await dataset.appendBatch(puts)
  say({
    acked: answers.map(({ pi, ver, position }, i) => ({
      pi,
      ver,
      position,
      gone: puts[i].tip === null,
    })),
  })
  at('acknowledged')
}

const roles = {
  async writer(dataset) {
    for (;;) {
      await writeSome(dataset, options.known)
      await pause(below(options.pauseMs))
    }
  },

  /** A build that another one overtook is dropped; a prune that finds another sweep waits. */
  async upkeep(dataset) {
    for (let n = below(3); ; n++) {
      work = n % 3 === 0 ? 'prune' : 'build'
      at('begun')
      await (work === 'build'
        ? dataset.build()
        : dataset.prune({ policy: { last: 3 }, waitMs: 60_000 }))
      at('done')
      await pause(below(options.pauseMs))
    }
  },

  async reader(dataset) {
    for (;;) {
      at('page')
      const { items, totalCount, hasMore } = await dataset.list({ limit: 50 })
      if (!hasMore && items.length !== totalCount)
        throw new Error(`a page has ${items.length} of ${totalCount} entities`)
      for (const { pi, tip } of items.slice(0, 10)) {
        at('content')
        await dataset.content(tip)
        at('get')
        await dataset.get(pi)
      }
      await pause(below(options.pauseMs))
    }
  },

  /** Alone: writes, and takes it all back, again and again. */
  async rollback(dataset, backend) {
    let { known } = options
    for (;;) {
      work = ''
      const { number } = await backend.newest('main', -1)
      const before = { ...known }
      say({ rollback: 'marked' })
      for (let n = below(5); n >= 0; n--) await writeSome(dataset, known)
      if (below(3) === 0) await dataset.build()
      work = 'rollback'
      say({ rollback: 'begun' })
      at('begun')
      await dataset.rollback({ commit: number })
      say({ rollback: 'done' })
      known = before
    }
  },
}

try {
  const { backend, dataset } = await openTelling()
  at('opened')
  await roles[role](dataset, backend)
} catch (error) {
  say({ error: error.code ?? '', message: error.stack ?? String(error) })
  process.exitCode = 1
  process.exit()
}

/**
 * A client whose operations are recorded: node worker.mjs DIST STORE OPTIONS, OPTIONS being JSON. Each begin
 * and each answer is a line of its file, written before it goes on, with the machine's monotonic clock, so
 * that the lines of several processes fall into one order. Ends when its standard input does.
 */
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const [dist, store, json] = process.argv.slice(2)
const options = JSON.parse(json)
const { openBackend, Cairn, isCairnError, parseCid } = await import(`${dist}/index.js`)

const file = openSync(join(options.folder, `${options.name}.ndjson`), 'a')
const base = BigInt(options.base)
const clock = () => Number(process.hrtime.bigint() - base)
const record = (line) => writeSync(file, `${JSON.stringify(line)}\n`)

/** Numbers that a seed decides; mulberry32. */
function randomOf(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count) => Math.floor(next() * count)
  return { next, below, pick: (from) => from[below(from.length)] }
}

/** A tip says in its CID who wrote it. */
const tipOf = (label) =>
  label === '' ? null : Uint8Array.from([1, 0x55, 0, label.length, ...Buffer.from(label)])
const labelOf = (tip) => (tip === null ? '' : Buffer.from(tip.subarray(4)).toString())
const shown = ({ pi, ver, tip }) => ({ pi, ver, tip: labelOf(tip) })

/** Refusals that say so, and that nothing was done. */
const HARMLESS = new Set([
  'conflict',
  'busy',
  'chain_full',
  'backend_unavailable',
  'backend_timeout',
])

/** A node or bucket that is silent is soon given up, so that outcomes stay unknown now and then. */
async function openStore() {
  if (store.startsWith('s3:')) {
    const { openBucketStore } = await import(`${dist}/backend/s3/index.js`)
    return openBucketStore({ address: store.slice('s3:'.length), retryMs: 400 })
  }
  if (!store.startsWith('kubo:')) return openBackend(store)
  const { openKubo } = await import(`${dist}/backend/kubo/index.js`)
  return openKubo({ url: store.slice('kubo:'.length), retryMs: 100 })
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
let over = false

/** What is no operation of the history is tried until it succeeds. */
async function surely(work) {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (error.code !== 'commit_unknown' && !HARMLESS.has(error.code)) throw error
      await pause(10)
    }
  }
}

/** Operations one after another; those of a process's lanes share a commit now and then. */
class Lane {
  #n = 0
  known = new Map()
  #unanswered
  marks = []

  constructor(backend, index) {
    this.backend = backend
    this.name = `${options.name}.${index}`
    this.random = randomOf(options.seed + 1000 * index)
  }

  /** Records an operation. Its answer; undefined when there is none. */
  async #do(what, work) {
    const op = { lane: this.name, n: this.#n++ }
    record({ t: clock(), ...op, ...what })
    try {
      const answer = await work()
      record({ t: clock(), ...op, outcome: 'ok', ...answer })
      return answer
    } catch (error) {
      const code = isCairnError(error) ? error.code : 'not a coded error'
      const unknown = code === 'commit_unknown'
      if (!unknown && !HARMLESS.has(code)) throw error
      const refused = what.do === 'append' && code === 'conflict' && error.details
      const found = refused ? { found: [this.#refusal(refused)] } : {}
      record({ t: clock(), ...op, outcome: unknown ? 'unknown' : 'refused', ...found })
      if (unknown) this.#unanswered = what
      if (code.startsWith('backend_')) await pause(50)
      return undefined
    }
  }

  #refusal({ pi, current_ver: ver, current_tip: text }) {
    const tip = text === null ? '' : labelOf(parseCid(text))
    this.known.set(pi, { ver, tip })
    return { pi, ver, tip, status: 'conflict' }
  }

  #learn(pis, found) {
    for (const pi of pis) this.known.delete(pi)
    for (const { pi, ver, tip } of found) this.known.set(pi, { ver, tip })
  }

  /** A write to an entity, which may say what it expects: from what this lane has seen, which may be old. */
  #write(pi, part) {
    const { ver, tip } = this.known.get(pi) ?? { ver: 0, tip: '' }
    const label = this.random.next() < 0.12 ? '' : `${this.name}-${this.#n}${part}`
    const says = this.random.pick([{}, { ver: ver + 1 }, { expectVer: ver }, { expectTip: tip }])
    return { pi, tip: label, ...says }
  }

  async append(set, dataset, writes) {
    const entries = writes.map(({ tip, expectTip, ...more }) => ({
      ...more,
      tip: tipOf(tip),
      ...(expectTip === undefined ? {} : { expectTip: tipOf(expectTip) }),
    }))
    await this.#do({ do: 'append', set, writes }, async () => {
      const appended = await dataset.appendBatch(entries)
      for (const [i, { pi, ver }] of appended.entries())
        this.known.set(pi, { ver, tip: writes[i].tip })
      const told = ({ pi, ver, position, status }, i) => {
        return { pi, ver, position, status, tip: writes[i].tip }
      }
      return { found: appended.map(told) }
    })
  }

  async #some(set, dataset, pis) {
    const again = this.#unanswered
    this.#unanswered = undefined
    if (again?.do === 'append' && again.set === set) return this.append(set, dataset, again.writes)
    if (this.random.next() < 0.75)
      return this.append(set, dataset, [this.#write(this.random.pick(pis), '')])
    const some = pis.filter(() => this.random.next() < 0.6)
    if (some.length > 0)
      await this.append(
        set,
        dataset,
        some.map((pi, i) => this.#write(pi, `+${i}`)),
      )
  }

  async #read(what, work) {
    const answer = await this.#do({ do: 'read', ...what }, work)
    if (answer !== undefined) this.#learn(what.pis, answer.found)
  }

  #get(set, dataset, pi) {
    return this.#read({ set, pis: [pi] }, async () => {
      const entry = await dataset.get(pi)
      return { found: entry === undefined ? [] : [shown(entry)] }
    })
  }

  #list(set, dataset, pis, prefix) {
    return this.#read({ set, pis, listed: true }, async () => {
      const { items, totalCount } = await dataset.list({ prefix })
      return { found: items.map(shown), total: totalCount }
    })
  }

  /** Pages of one view: what the commit that is the newest now shows, however long they take. */
  #pages(set, dataset, pis, prefix) {
    return this.#read({ set, pis, listed: true }, async () => {
      const at = { commit: await this.#newest(set) }
      const found = []
      for (let cursor; cursor !== null;) {
        const page = await dataset.list({ prefix, at, limit: 2, cursor })
        found.push(...page.items.map(shown))
        cursor = page.nextCursor
        await pause(this.random.below(3))
      }
      return { found }
    })
  }

  async #newest(set) {
    return (await this.backend.newest(set, -1)).number
  }

  #history(set, dataset, pi) {
    return this.#do({ do: 'history', set, pis: [pi] }, async () => {
      const found = []
      for await (const { entry, position } of dataset.history(pi))
        found.push({ ...shown(entry), position })
      return { found }
    })
  }

  build(set, dataset) {
    return this.#do({ do: 'build', set }, async () => void (await dataset.build()))
  }

  /** One operation on the dataset that nobody rolls back. */
  async onMain(dataset) {
    const prefix = `e${Math.floor(clock() / 1e6 / options.epochMs)}-`
    const pis = ['a', 'b', 'c', 'd'].map((name) => prefix + name)
    const dice = this.random.next()
    if (dice < 0.45) return this.#some('main', dataset, pis)
    if (dice < 0.7) return this.#get('main', dataset, this.random.pick(pis))
    if (dice < 0.85) return this.#list('main', dataset, pis, prefix)
    if (dice < 0.95) return this.#pages('main', dataset, pis, prefix)
    return this.#history('main', dataset, this.random.pick(pis))
  }

  /** One operation on a dataset that all clients roll back now and then. */
  async onRolled(set, dataset) {
    const pis = ['a', 'b', 'c']
    const dice = this.random.next()
    if (dice < 0.45) return this.#some(set, dataset, pis)
    if (dice < 0.65) return this.#get(set, dataset, this.random.pick(pis))
    if (dice < 0.75) return this.#list(set, dataset, pis)
    if (dice < 0.8) return this.build(set, dataset)
    if (dice < 0.9) return this.#mark(set, dataset, pis)
    const mark = this.marks.findLast((one) => one.set === set)
    return mark && this.#rollback(mark, dataset)
  }

  async #mark(set, dataset, pis) {
    let commit
    const answer = await this.#do({ do: 'mark', set, pis }, async () => {
      commit = await this.#newest(set)
      const found = []
      for await (const entry of dataset.entries({ at: { commit }, deleted: true }))
        found.push(shown(entry))
      return { found }
    })
    if (answer !== undefined) this.marks.push({ set, commit, found: answer.found })
  }

  #rollback({ set, commit, found }, dataset) {
    return this.#do({ do: 'rollback', set, to: found }, async () => {
      await dataset.rollback({ commit })
    })
  }
}

const INIT = { content: 'external', chunkSize: 64, chainLimit: 150 }

async function mainLane({ backend, cairn }, index) {
  const lane = new Lane(backend, index)
  const dataset = await surely(() => cairn.dataset('main'))
  while (!over) {
    await lane.onMain(dataset)
    await pause(lane.random.below(options.pauseMs))
  }
}

async function rollbackLane({ backend, cairn }, index) {
  const lane = new Lane(backend, index)
  let set
  let dataset
  while (!over) {
    const name = `back-${Math.floor(clock() / 1e6 / options.epochMs)}`
    if (name !== set) ({ dataset } = await surely(() => cairn.init((set = name), INIT)))
    await lane.onRolled(set, dataset)
    await pause(lane.random.below(options.pauseMs))
  }
}

async function buildLane({ backend, cairn }, index) {
  const lane = new Lane(backend, index)
  const dataset = await surely(() => cairn.dataset('main'))
  while (!over) {
    await lane.build('main', dataset)
    await pause(50 + lane.random.below(200))
  }
}

try {
  const backend = await surely(openStore)
  const cairn = new Cairn(backend)
  const opened = { backend, cairn }
  process.stdin.resume().once('end', () => (over = true))
  const lanes = [mainLane(opened, 0), mainLane(opened, 1), rollbackLane(opened, 2)]
  if (options.builds) lanes.push(buildLane(opened, 3))
  await Promise.all(lanes)
  await cairn.close()
} catch (error) {
  process.stdout.write(`${error.code ?? ''} ${error.stack ?? error}\n`, () => process.exit(1))
}

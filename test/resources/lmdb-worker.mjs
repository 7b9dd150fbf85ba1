/**
 * A process that works on an embedded store while something runs out: node lmdb-worker.mjs DIST TASK
 * OPTIONS, OPTIONS being JSON. What it does it says in lines of JSON on its standard output; liblmdb may
 * end it at any time, and its parent sees by which signal.
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

const [dist, task, json = '{}'] = process.argv.slice(2)
const options = JSON.parse(json)
const { openCairn } = await import(`${dist}/index.js`)

const say = (value) => writeSync(1, `${JSON.stringify(value)}\n`)
const valueOf = (pi, ver) => ({
  pi,
  ver,
  text: createHash('sha512').update(`${pi} ${ver}`).digest('hex').repeat(8),
})
const codeOf = (error) => error.code ?? String(error)

/** What the store says that it holds: of each entity its version, and whether its content is right. */
async function stateOf(dataset) {
  const state = {}
  for await (const { pi, ver, tip } of dataset.entries()) {
    const { value } = await dataset.content(tip)
    const right = JSON.stringify(value) === JSON.stringify(valueOf(pi, ver))
    state[pi] = right ? ver : `the content of ${pi} is another's`
  }
  return state
}

const sorted = (state) => JSON.stringify(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1)))

/** Fills the disk with a file until so many bytes are left. */
function leave(folder, bytes) {
  const file = openSync(join(folder, 'ballast'), 'w')
  const { bavail, bsize } = statfsSync(folder)
  const zeros = Buffer.alloc(2 ** 20)
  for (let left = bavail * bsize - bytes; left > 0; left -= zeros.length)
    writeSync(file, zeros, 0, Math.min(left, zeros.length))
  closeSync(file)
}

const freeOn = (folder) => {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

/** Three snapshots, of which two hold what nobody else does, and a recent chain. */
async function makeTemplate(store) {
  const cairn = await openCairn(store)
  const { dataset } = await cairn.init('main', { content: 'linked' })
  const state = {}
  const putAll = async (ver, from, to) => {
    for (let n = from; n < to; n += 100) {
      const ids = Array.from(
        { length: Math.min(100, to - n) },
        (_, i) => `e-${String(n + i).padStart(5, '0')}`,
      )
      await dataset.putBatch(ids.map((pi) => ({ pi, value: valueOf(pi, ver) })))
      for (const pi of ids) state[pi] = ver
    }
  }
  for (const ver of [1, 2, 3]) {
    await putAll(ver, 0, 700)
    await dataset.build()
  }
  await putAll(1, 700, 800)
  await cairn.close()
  return state
}

/** Each operation once; what fails is told by its code, with what was acknowledged before. */
async function everything(folder, onOpen = () => {}) {
  const { exportToFolder } = await import(`${dist}/backup/write-car.js`)
  const { openCars } = await import(`${dist}/backup/open-cars.js`)
  const acked = []
  let [step, state] = ['open', {}]
  try {
    const cairn = await openCairn(`lmdb:${join(folder, 'store')}`)
    try {
      const { dataset } = await cairn.init('main', { content: 'linked' })
      onOpen()
      step = 'append'
      for (let n = 0; n < 5; n++) {
        const pi = `e-${acked.length}-${Math.random()}`
        await dataset.put(pi, valueOf(pi, 1))
        acked.push(pi)
      }
      step = 'bulk'
      const ids = Array.from({ length: 600 }, (_, i) => `b-${i}`)
      const items = ids.map((pi) => ({ pi, ver: 1, value: valueOf(pi, 1) }))
      await dataset.bulkLoad(items, { tempDir: folder, sortBytes: 16 * 1024 })
      step = 'build'
      await dataset.build()
      step = 'export'
      const form = { version: 1, recipients: [], force: true, now: Date.now }
      const { backup } = await exportToFolder(dataset, join(folder, 'backups'), form)
      step = 'restore'
      const opened = await openCars([backup.paths.car])
      await cairn
        .restoreCar(opened.cars, { as: 'other', replace: true })
        .finally(() => opened.close())
      step = 'compact'
      await cairn.compact()
      state = await stateOf(dataset)
      step = 'close'
    } finally {
      await cairn.close()
    }
    return { outcome: 'done', step, acked, state }
  } catch (error) {
    return { outcome: codeOf(error), message: error.message, hint: error.hint, step, acked, state }
  }
}

/** The operations that are tried; each gives the state that holds when it succeeded. */
const operations = {
  async append({ dataset, state }) {
    for (let n = 0; n < 30; n++) {
      const ids = Array.from({ length: 40 }, (_, i) => `new-${n}-${i}`)
      const values = ids.map((pi) => ({ pi, value: valueOf(pi, (state[pi] ?? 0) + 1) }))
      for (const { pi, ver } of await dataset.putBatch(values)) state[pi] = ver
    }
    return state
  },
  async build({ dataset, state }) {
    await dataset.build()
    return state
  },
  async bulk({ dataset, state }) {
    const items = Array.from({ length: 1500 }, (_, i) => `bulk-${(i * 7919) % 1500}`)
    const source = items.map((pi) => ({ pi, ver: 1, value: valueOf(pi, 1) }))
    await dataset.bulkLoad(source, { tempDir: options.folder, sortBytes: 64 * 1024 })
    return { ...state, ...Object.fromEntries(items.map((pi) => [pi, 1])) }
  },
  async restore({ cairn, template }) {
    const { openCars } = await import(`${dist}/backup/open-cars.js`)
    const opened = await openCars([options.car])
    try {
      await cairn.restoreCar(opened.cars, { replace: true })
    } finally {
      await opened.close()
    }
    return { ...template.restored }
  },
  async export({ dataset, state }) {
    const { exportToFolder } = await import(`${dist}/backup/write-car.js`)
    const form = { version: 1, recipients: [], force: true, now: Date.now }
    await exportToFolder(dataset, join(options.folder, 'backups'), form)
    return state
  },
  async prune({ dataset, state }) {
    const { status } = await dataset.prune({ policy: { last: 1 } })
    if (status === 'planned') throw new Error('it pruned nothing')
    return state
  },
  async compact({ cairn, state }) {
    await cairn.compact()
    return state
  },
}

const tasks = {
  /** Makes what the other tasks begin with: a store, a CAR of another state, and what is in them. */
  async template() {
    const store = join(options.folder, 'store')
    const state = await makeTemplate(`lmdb:${store}`)
    const source = await openCairn('memory:')
    const { dataset } = await source.init('main', { content: 'linked' })
    const ids = Array.from({ length: 900 }, (_, i) => `restored-${i}`)
    await dataset.putBatch(ids.map((pi) => ({ pi, value: valueOf(pi, 1) })))
    await dataset.build()
    const { exportToFile } = await import(`${dist}/backup/write-car.js`)
    const car = join(options.folder, 'other.car')
    await exportToFile(dataset, car, { version: 1, recipients: [], force: true, now: Date.now })
    await source.close()
    say({ state, restored: Object.fromEntries(ids.map((pi) => [pi, 1])), car, store })
  },

  /** One operation with each of some amounts of free space, then with enough. */
  async points() {
    const { folder, operation, template, points } = options
    const dir = join(folder, 'store')
    const backups = join(folder, 'backups')
    for (const free of points) {
      say({ free })
      cpSync(template.store, dir, { recursive: true })
      rmSync(join(dir, 'processes'), { recursive: true, force: true })
      leave(folder, free)
      let state = { ...template.state }
      const attempt = async () => {
        const cairn = await openCairn(`lmdb:${dir}`, { create: false })
        try {
          const dataset = await cairn.dataset('main')
          state = await operations[operation]({ cairn, dataset, state, template })
          return { outcome: 'done' }
        } catch (error) {
          return { outcome: codeOf(error), message: error.message, hint: error.hint }
        } finally {
          await cairn.close()
        }
      }
      const problems = []
      const look = async (when) => {
        const cairn = await openCairn(`lmdb:${dir}`, { create: false })
        const found = await stateOf(await cairn.dataset('main'))
        if (sorted(found) !== sorted(state)) problems.push(`${when} it holds something else`)
        await cairn.close()
      }
      const before = await attempt()
      await look('after the failure')
      const left = freeOn(folder)
      const names = readdirSync(folder).filter((name) => name.startsWith('cairn-'))
      if (names.length > 0) problems.push(`files were left: ${names.join()}`)
      rmSync(join(folder, 'ballast'), { force: true })
      if (before.outcome !== 'done') {
        const after = await attempt()
        if (after.outcome !== 'done')
          problems.push(`with enough space: ${after.outcome} ${after.message}`)
        await look('in the end')
      }
      say({ at: free, ...before, left, problems })
      rmSync(dir, { recursive: true })
      rmSync(backups, { recursive: true, force: true })
    }
  },

  /** Everything once while only some descriptors are left, then again with enough. */
  async descriptors() {
    const { folder } = options
    await everything(join(folder, 'rehearsal')) // so that all code is loaded
    for (const left of options.left) {
      const dir = join(folder, `with-${left}`)
      mkdirSync(dir)
      const taken = []
      const take = () => {
        try {
          for (;;) taken.push(openSync('/dev/null'))
        } catch {
          for (const file of taken.splice(0, left)) closeSync(file)
        }
      }
      if (!options.opened) take()
      const scarce = await everything(dir, options.opened ? take : undefined)
      for (const file of taken) closeSync(file)
      const again = await everything(dir)
      say({
        left,
        ...scarce,
        acked: scarce.acked.length,
        lost: scarce.acked.filter((pi) => again.state[pi] === undefined),
        again: again.outcome,
      })
    }
  },

  /** Writes large values, and reads those of another that writes at the same time. */
  async grow() {
    const { folder, name, other, count, bytes } = options
    const cairn = await openCairn(`lmdb:${join(folder, 'store')}`)
    const { dataset } = await cairn.init('main', { content: 'linked' })
    let seen = 0
    for (let n = 0; n < count; n++) {
      await dataset.put(`${name}-${n}`, Buffer.alloc(bytes, n + 1))
      const theirs = await dataset.get(`${other}-${n}`)
      if (theirs === undefined || theirs === null) continue
      const content = await dataset.content(theirs.tip)
      for await (const part of content.bytes) seen += part[0] === n + 1 ? 1 : 0
    }
    await cairn.close()
    say({ wrote: count, seen })
  },

  /** Dies while it holds a staging and a lease that its clock has dated. */
  async diesHolding() {
    const { openLmdb } = await import(`${dist}/backend/lmdb/index.js`)
    const backend = await openLmdb({ dir: options.folder, now: () => options.now })
    const staging = await backend.stage('main', 'a dead process')
    await staging.flush()
    await backend.lease('of a dead process')
    process.kill(process.pid, 'SIGKILL')
  },

  /** Tries to open stores as a user who may do nothing with them. */
  async denied() {
    const { folder, stores } = options
    const own = await openCairn(`lmdb:${join(folder, 'own')}`)
    await own.close()
    process.setgid(65_534)
    process.setuid(65_534)
    for (const store of stores) {
      const { code, hint } = await openCairn(`lmdb:${store}`, { create: false }).then(
        () => ({ code: 'opened' }),
        (error) => error,
      )
      say({ store, code, hint })
    }
  },

  /** Writes until the disk is full, then tries on for a while; prunes, and writes again. */
  async fill() {
    const { folder, size, many, lanes, errors: most, buildEvery } = options
    const store = `lmdb:${join(folder, 'store')}`
    const cairn = await openCairn(store)
    const { dataset } = await cairn.init('main', { content: 'linked', chainLimit: 2000 })
    const state = {}
    const codes = {}
    let [failed, batches, stop] = [0, 0, false]
    let least = Infinity
    const note = (error) => {
      const code = codeOf(error)
      codes[code] = (codes[code] ?? 0) + 1
      if (code !== 'no_space' || error.hint === undefined)
        say({ problem: `${code}: ${error.message}` })
      failed += 1
      stop ||= failed >= most
    }
    const lane = async (name) => {
      for (let n = 0; !stop; n++) {
        const values = Array.from({ length: many }, (_, i) => {
          const value = {
            pi: `${name}-${n % 20}-${i}`,
            ver: n,
            text: createHash('sha512').update(`${name}${n}${i}`).digest('base64').repeat(size),
          }
          return { pi: value.pi, value }
        })
        try {
          for (const { pi, ver } of await dataset.putBatch(values)) state[pi] = ver
          batches += 1
          if (batches % buildEvery === 0) await dataset.build()
        } catch (error) {
          note(error)
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        least = Math.min(least, freeOn(folder))
      }
    }
    await Promise.all(Array.from({ length: lanes }, (_, i) => lane(`l${i}`)))
    const full = freeOn(folder)
    const { freed } = await dataset.prune({ policy: { last: 1 } })
    await cairn.close()
    const again = await openCairn(store, { create: false })
    const reopened = await again.dataset('main')
    const found = {}
    for await (const { pi, ver, tip } of reopened.entries()) {
      await reopened.content(tip)
      found[pi] = ver
    }
    const same = sorted(found) === sorted(state)
    const pruned = await reopened.putBatch([{ pi: 'after', value: { a: 1 } }]).then(
      () => 'done',
      (error) => codeOf(error),
    )
    await again.close()
    say({
      codes,
      batches,
      full,
      least,
      freed: freed.blocks,
      same,
      pruned,
      entities: Object.keys(state).length,
    })
  },
}

mkdirSync(options.folder, { recursive: true })
try {
  await tasks[task]()
} catch (error) {
  say({ error: codeOf(error), message: error.message, stack: error.stack })
  process.exitCode = 1
}

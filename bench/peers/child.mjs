/**
 * One engine, one task, one process: `node child.mjs '{"engine":…,"task":…,"dir":…}'` prints
 * `{version, figures}` as JSON on its last line. Times are milliseconds unless a name says otherwise.
 * Every answer is checked: a figure of work that was not done would be worth nothing.
 */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { idOf, newest, objectOf, recordOf, records, scattered, tipOf } from './data.mjs'

const UPDATES = 5_000
const REPEATS = 3
const LOOKUPS = 100_000
const LOOKUP_MS = 2_000
const OBJECTS = 10_000
const WARM_UP = 2_000

process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

async function timed(work) {
  const start = performance.now()
  const result = await work()
  return { ms: performance.now() - start, result }
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

function expectSame(what, found, expected) {
  if (found !== expected) throw new Error(`${what}: ${found}, not ${expected}`)
}

/** A tree of `size` records: made, changed, read, saved, restored. */
async function tree(engine, { size, dir, durable, car }) {
  const session = await engine.openTree(dir)
  const figures = { build: (await timed(() => session.load(records(size)))).ms }
  Object.assign(figures, await updates(session, size, durable))
  await expectTip(session, 0, 1 + REPEATS)
  figures['lookup, us'] = await lookups(session, size)
  const scan = await timed(() => session.scan(size))
  expectSame('scanned', scan.result, size)
  figures.scan = scan.ms
  await session.update(scattered(size, updateCount(size), 100))
  const path = car ?? join(dir, 'saved')
  const saved = await timed(() => session.save(path))
  figures.save = saved.ms
  figures['saved, bytes'] = (await stat(path)).size
  await session.close()
  const restored = await timed(() => session.restore(path, dir))
  expectSame('restored', restored.result, size)
  figures.restore = restored.ms
  return { figures, root: saved.result.root }
}

async function expectTip(session, index, ver) {
  const tip = Buffer.from(await session.get(idOf(index)))
  // Stores of bytes hand back the version with the tip.
  const same = tip.subarray(-36).equals(tipOf(index, ver))
  expectSame(`the tip of ${index} is of version ${ver}`, same, true)
}

/** Small trees only warm up: there the newest half leaves the first record alone. */
const updateCount = (size) => Math.min(UPDATES, size >> 1)

/** Which records change, and the version they get first. */
const PICKS = [
  { name: 'scattered', pick: scattered, from: 2 },
  { name: 'newest', pick: newest, from: 12 },
]

/** Durable when the store is; and with a new root where the engine has one. */
async function updates(session, size, durable) {
  const some = updateCount(size)
  const figures = {}
  for (const { name, pick, from } of PICKS) {
    const [plain, rooted] = [[], []]
    for (let i = 0; i < REPEATS; i++) {
      const changed = pick(size, some, from + i)
      const written = await timed(() => session.update(changed))
      plain.push(written.ms)
      if (session.root !== undefined)
        rooted.push(written.ms + (await timed(() => session.root())).ms)
    }
    if (durable) figures[name] = median(plain)
    if (rooted.length > 0) figures[`${name}, root`] = median(rooted)
  }
  return figures
}

async function lookups(session, size) {
  const start = performance.now()
  let done = 0
  for (; done < LOOKUPS; done++) {
    if (done % 256 === 0 && performance.now() - start > LOOKUP_MS) break
    const found = session.get(idOf((done * 7919) % size))
    const tip = typeof found?.then === 'function' ? await found : found
    if (tip === undefined) throw new Error(`nothing under ${idOf((done * 7919) % size)}`)
  }
  return ((performance.now() - start) / done) * 1000
}

/** How many appends a second `clients` get acknowledged that each wait for theirs. */
async function appends(engine, { clients, dir, ms }) {
  const session = await engine.openLog(dir)
  let next = 0
  let done = 0
  const start = performance.now()
  const client = async () => {
    while (performance.now() - start < ms) {
      await session.append(recordOf(next++, 1))
      done += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  const seconds = (performance.now() - start) / 1000
  await session.close()
  return { figures: { 'appends, /s': done / seconds } }
}

/** Ten thousand objects of a live state, saved after one in a hundred changed. */
async function state(engine, { dir, objects = OBJECTS, saves }) {
  const session = await engine.openState(dir)
  await session.first(Array.from({ length: objects }, (_, i) => objectOf(i, 1)))
  const [plain, rooted] = [[], []]
  for (let round = 0; round < saves; round++) {
    const changed = Array.from({ length: objects / 100 }, (_, i) =>
      objectOf((i * 100 + round) % objects, round + 2),
    )
    const saved = await timed(() => session.save(changed))
    plain.push(saved.ms)
    if (session.root !== undefined) rooted.push(saved.ms + (await timed(() => session.root())).ms)
  }
  await session.close()
  const figures = { save: median(plain) }
  if (rooted.length > 0) figures['save, root'] = median(rooted)
  return { figures }
}

/** The node's own commands on the file that Cairn wrote. */
async function node(engine, { dir, car, root }) {
  const session = await engine.openNode(dir)
  const figures = { restore: (await timed(() => session.importCar(car))).ms }
  const path = join(dir, 'saved')
  figures.save = (await timed(() => session.exportCar(root, path))).ms
  figures['saved, bytes'] = (await stat(path)).size
  await session.close()
  return { figures }
}

const TASKS = { tree, appends, state, node }

/** The compiler's rounds: the same work, small, in a folder of its own. */
async function warmUp(engine, task, options) {
  const dir = join(options.dir, 'warm')
  await mkdir(dir)
  if (task === 'tree') await tree(engine, { ...options, size: WARM_UP, dir, car: undefined })
  if (task === 'appends') await appends(engine, { ...options, dir, ms: options.ms / 8 })
  if (task === 'state')
    await state(engine, { ...options, dir, objects: 1_000, saves: Math.min(options.saves, 5) })
}

const { engine: name, task, ...options } = JSON.parse(process.argv[2])
const engine = await import(`./engines/${name}.mjs`)
await warmUp(engine, task, options)
const { figures, root } = await TASKS[task](engine, options)
const said = { version: await engine.version(), figures, root }
process.stdout.write(`${JSON.stringify(said)}\n`)

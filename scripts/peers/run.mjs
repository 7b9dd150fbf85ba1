/** Rounds of all engines, one after the other in each round, every task in a process of its own. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MOST_RECORDS, rowTask } from './plan.mjs'

const CHILD = fileURLToPath(new URL('../../bench/peers/child.mjs', import.meta.url))

const MUCH = 10_000

/**
 * Returns `{versions, cells}`: of a cell the engine, the figure, its size or clients, and the value of
 * every round (null where it sat out). An engine sits out rounds of a task once it took `budget` seconds.
 */
export async function runRounds({ engines, sizes, rounds, budget, appendMs, saves, env, say }) {
  const book = new Map()
  const versions = {}
  const note = (round, engine, { task, size, clients }, { version, figures }) => {
    versions[engine.name] = version
    for (const [figure, value] of Object.entries(figures)) {
      const cell = { engine: engine.name, task: rowTask(task), figure, size, clients }
      const key = JSON.stringify(cell)
      if (!book.has(key))
        book.set(key, { ...cell, values: Array.from({ length: rounds }, () => null) })
      book.get(key).values[round] = value
    }
  }
  for (const setting of settingsOf(sizes, appendMs, saves)) {
    const spent = new Map()
    const shared = scratch()
    try {
      for (let round = 0; round < rounds; round++) {
        for (const engine of engines) {
          const task = engine.tasks.find((one) => rowTask(one) === setting.task)
          if (task === undefined || setting.size > (MOST_RECORDS[engine.name] ?? Infinity)) continue
          // The same time for each: slow engines get fewer rounds, and none gets less than one.
          const seconds = spent.get(engine.name) ?? 0
          if (seconds * (1 + 1 / Math.max(round, 1)) > budget && round > 0) continue
          const began = performance.now()
          const said = await runTask({ ...setting, task, engine, shared, env })
          spent.set(engine.name, seconds + (performance.now() - began) / 1000)
          note(round, engine, { ...setting, task }, said)
          say(`round ${round + 1}: ${engine.name} ${describe(setting)}: ${figuresOf(said.figures)}`)
        }
      }
    } finally {
      rmSync(shared, { recursive: true, force: true })
    }
  }
  return { versions, cells: [...book.values()] }
}

const settingsOf = (sizes, ms, saves) => [
  { task: 'appends', clients: 1, ms },
  { task: 'appends', clients: 64, ms },
  { task: 'state', saves },
  ...sizes.map((size) => ({ task: 'tree', size })),
]

const describe = ({ task, size, clients }) => [task, size ?? clients ?? ''].join(' ').trim()
const figuresOf = (figures) =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${Math.round(value * 10) / 10}`)
    .join(', ')

const scratch = () => mkdtempSync(join(process.env.CAIRN_BENCH_DIR ?? tmpdir(), 'cairn-peers-'))

/** The CAR that Cairn writes lies in `shared`, where a node finds it. */
async function runTask({ engine, task, size, clients, ms, saves, shared, env }) {
  const dir = scratch()
  // What others left unwritten is not this one's to wait for.
  if (size >= MUCH) spawnSync('sync')
  try {
    const car = join(shared, 'cairn.car')
    const handed =
      engine.name === 'cairn' || task === 'node' ? { car, root: roots.get(shared) } : {}
    const { name, durable } = engine
    const request = { engine: name, task, size, clients, ms, saves, dir, durable, ...handed }
    const said = await runChild(request, env)
    if (said.root !== undefined) roots.set(shared, said.root)
    return said
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** The root of the CAR in each shared folder. */
const roots = new Map()

async function runChild(request, env) {
  mkdirSync(request.dir, { recursive: true })
  const child = spawn(process.execPath, [CHILD, JSON.stringify(request)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (part) => (output += part))
  await once(child, 'close')
  if (child.exitCode !== 0)
    throw new Error(
      `${request.engine} ${request.task} ended with ${child.exitCode ?? child.signalCode}.`,
    )
  return JSON.parse(output.trim().split('\n').at(-1))
}

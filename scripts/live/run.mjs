/** All ways at each size, in turn in every round; each has a process of its own that is told what to do. */
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url))

/** What each process does before anything counts: the compiler takes part in the first saves. */
const WARM_UP = 2

const SHARES = [0, 0.01, 0.1, 1]

/** Gives cells: of a way, a size, and a share that changed, the figures of all rounds. */
export async function runSaves({ ways, sizes, rounds, env, say }) {
  const cells = []
  for (const size of sizes) {
    await withChildren(ways, size, env, async (children) => {
      for (const share of SHARES) {
        const found = children.map(({ way }) => ({ way: way.name, size, share, rounds: [] }))
        for (let round = -WARM_UP; round < rounds; round++) {
          for (const [i, { ask }] of children.entries()) {
            const figures = await ask('save', { share })
            if (round >= 0) found[i].rounds.push(figures)
          }
        }
        cells.push(...found)
        for (const cell of found) say(describe(cell))
      }
    })
  }
  return cells
}

const describe = ({ way, size, share, rounds }) =>
  `${size}, ${share * 100}%: ${way} ${rounds.map(({ ms }) => ms.toFixed(1)).join(', ')} ms`

/** Percent of a core, for each way that can save by itself. */
export async function runIdle({ ways, size, seconds, env }) {
  const able = ways.filter(({ isOurs }) => isOurs)
  return withChildren(able, size, env, (children) =>
    Promise.all(
      children.map(async ({ way, ask }) => ({
        way: way.name,
        size,
        ...(await ask('idle', { seconds })),
      })),
    ),
  )
}

/** What is alive in a process that saves, in one that has nothing but the data, and in one with the code as well. */
export async function runMemory({ ways, size, saves, share, rounds, env }) {
  const compared = [{ name: 'nothing' }, { name: 'loaded' }, ...ways.filter(({ isOurs }) => isOurs)]
  const found = compared.map(({ name }) => ({ way: name, size, saves, share, rounds: [] }))
  for (let round = 0; round < rounds; round++) {
    for (const [i, way] of compared.entries()) {
      const figures = await withChildren([way], size, env, ([{ ask }]) =>
        ask('memory', { saves, share }),
      )
      found[i].rounds.push(figures)
    }
  }
  return found
}

async function withChildren(ways, count, env, work) {
  const dir = mkdtempSync(join(process.env.CAIRN_BENCH_DIR ?? tmpdir(), 'cairn-live-'))
  const children = []
  try {
    for (const way of ways) {
      const child = startChild(way, env)
      children.push(child)
      await child.ask('open', { name: way.name, count, dir: join(dir, way.name) })
    }
    // What others left unwritten is not the first one's to wait for.
    spawnSync('sync')
    const said = await work(children)
    for (const { ask } of children) await ask('close')
    return said
  } finally {
    for (const { end } of children) await end()
    rmSync(dir, { recursive: true, force: true })
  }
}

function startChild(way, env) {
  const child = fork(CHILD, [], { execArgv: ['--expose-gc'], env: { ...process.env, ...env } })
  const ended = once(child, 'exit')
  const ask = async (command, rest) => {
    child.send({ command, ...rest })
    const answer = once(child, 'message').then(([message]) => message)
    const told = await Promise.race([
      answer,
      ended.then(([code]) => ({ failed: `It ended with ${code}.` })),
    ])
    if (told.failed !== undefined) throw new Error(`${way.name}: ${told.failed}`)
    return told.said
  }
  // It takes with it what it has started.
  const end = async () => {
    if (child.connected) child.disconnect()
    await ended
  }
  return { way, ask, end }
}

/** A history: clients of several processes on one store, faults meanwhile, and the judgement of all they saw. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openCairn } from '../../src/compose.ts'
import { Random } from '../helpers/random.ts'
import { judge } from './checker.ts'
import { startClient, type Built, type Client } from './client.ts'
import { recordFinalLog } from './final-log.ts'
import { openGround, type BackendName, type Ground } from './ground.ts'

export interface Plan {
  readonly backend: BackendName
  readonly ms: number
  readonly clients: number
  readonly seed: number
}

export interface Tools extends Built {
  readonly checker: string
}

export interface Outcome {
  readonly problems: readonly string[]
  readonly kills: number
  readonly faults: { readonly lost: number; readonly muted: number }
  /** What the checker counted. */
  readonly summary: string
}

/** Each has entities of its own, so that what was left open in one does not trouble the next. */
const EPOCH_MS = { lmdb: 2000, kubo: 6000, s3: 6000 } as const
const PAUSE_MS = { lmdb: 8, kubo: 10, s3: 10 } as const
const KILL_EVERY_MS = { lmdb: [300, 1200], kubo: [700, 2500], s3: [1000, 3000] } as const

export async function runHistory(tools: Tools, plan: Plan): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-histories-'))
  const random = new Random(plan.seed)
  try {
    const ground = await openGround(plan.backend, folder, random)
    try {
      const base = process.hrtime.bigint()
      await makeDataset(ground)
      const { kills, problems } = await withClients(tools, plan, { ground, folder, base, random })
      const unread = await recordFinalLog(ground.plain, folder, base).then(
        () => [],
        (error: unknown) => [`the log cannot be read: ${textOf(error)}`],
      )
      const { good, text } = await judge(tools.checker, folder)
      const summary = text.split('\n').at(-1) ?? ''
      const found = [...problems, ...unread, ...(good ? [] : [text])]
      return { problems: found, kills, faults: ground.faults, summary }
    } finally {
      await ground.dispose()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error)

async function makeDataset({ plain }: Ground): Promise<void> {
  const cairn = await openCairn(plain)
  await cairn.init('main', { content: 'external', chunkSize: 64, chainLimit: 150 })
  await cairn.close()
}

interface Setting {
  readonly ground: Ground
  readonly folder: string
  readonly base: bigint
  readonly random: Random
}

/** Clients work, and are killed and replaced, until the time is over. */
async function withClients(
  tools: Tools,
  plan: Plan,
  { ground, folder, base, random }: Setting,
): Promise<{ kills: number; problems: string[] }> {
  let started = 0
  const start = (place: number): Client =>
    startClient(tools, ground.store, {
      name: `c${started++}`,
      folder,
      base: String(base),
      seed: random.int(0, 2 ** 31),
      epochMs: EPOCH_MS[plan.backend],
      pauseMs: PAUSE_MS[plan.backend],
      builds: place === 0,
    })
  const clients = Array.from({ length: plan.clients }, (_, place) => start(place))
  const [least, most] = KILL_EVERY_MS[plan.backend]
  const until = performance.now() + plan.ms
  const problems: string[] = []
  let kills = 0
  try {
    for (;;) {
      const wait = random.int(least, most)
      if (performance.now() + wait > until) break
      await sleep(wait)
      const place = random.int(0, plan.clients - 1)
      problems.push(...((await clients[place]?.kill()) ?? []))
      clients[place] = start(place)
      kills += 1
    }
    await sleep(Math.max(0, until - performance.now()))
    const last = await Promise.all(clients.map((client) => client.stop()))
    return { kills, problems: [...problems, ...last.flat()] }
  } finally {
    await Promise.all(clients.map((client) => client.kill()))
  }
}

/** One round: processes on one store, all of them killed at random moments, and then a look at everything. */
import { setTimeout as sleep } from 'node:timers/promises'
import { askNode } from '../helpers/kubo-node.ts'
import type { Random } from '../helpers/random.ts'
import type { Ground } from './ground.ts'
import { compareSnapshots, look, type Seen } from './look.ts'
import { startMember, stepOf, type Built, type Member, type Role } from './member.ts'
import { afterDeeds, compareWorld, type Positions, type World } from './model.ts'

export interface Death {
  readonly role: Role | 'node'
  /** The step of the operation that was said last. */
  readonly step: string
}

export interface Round {
  readonly seen: Seen
  readonly deaths: readonly Death[]
  readonly acked: number
  readonly problems: readonly string[]
}

export interface Setting {
  /** Of this round, from 0. */
  readonly number: number
  readonly built: Built
  readonly ground: Ground
  readonly random: Random
  readonly before: Seen
  readonly positions: Positions
}

/** Leases of one round are void in the next. */
const ROUND_LASTS_MS = 2 * 3_600_000
const WRITERS = 3
const ENTITIES = 40
const MOST_MS = { file: 900, node: 1500 } as const
const NODE_DIES = 0.5
/** What a process may end with when its node was killed. */
const OF_A_DEAD_NODE = new Set(['backend_unavailable', 'backend_timeout', 'commit_unknown'])

const namesOf = (writer: number): string[] =>
  Array.from({ length: ENTITIES }, (_, n) => `w${writer}-${String(n).padStart(3, '0')}`)

/** The version of each entity of a writer, which it goes on from. */
function knownOf(world: World, writer: number): Record<string, number> {
  return Object.fromEntries(namesOf(writer).map((pi) => [pi, world.get(pi)?.ver ?? 0]))
}

/** Writers, each with entities of its own, readers, and one that builds and prunes. */
export async function workRound(setting: Setting): Promise<Round> {
  const { built, number, ground, random, before } = setting
  const aheadMs = number * ROUND_LASTS_MS
  const start = (role: Role, known = {}): Member =>
    startMember(built, role, ground.store, {
      known,
      pauseMs: 8,
      aheadMs,
      seed: random.int(0, 2 ** 31),
    })
  const writers = Array.from({ length: WRITERS }, (_, i) =>
    start('writer', knownOf(before.world, i)),
  )
  const members = [...writers, start('upkeep'), start('reader')]
  const deaths = await killAll(members, ground, random)
  return judged(setting, writers, deaths, members, () => {
    let { world } = before
    const opens = []
    for (const { said } of writers) {
      const after = afterDeeds(world, said)
      world = after.world
      opens.push(after.open)
    }
    return { worlds: [world], opens }
  })
}

/** One process alone, which writes and rolls back what it wrote, again and again. */
export async function rollbackRound(setting: Setting): Promise<Round> {
  const { built, number, ground, random, before } = setting
  const aheadMs = number * ROUND_LASTS_MS
  const known = knownOf(before.world, 0)
  const member = startMember(built, 'rollback', ground.store, {
    known,
    aheadMs,
    seed: random.int(0, 2 ** 31),
  })
  const deaths = await killAll([member], ground, random)
  return judged(setting, [member], deaths, [member], () => {
    const { world, open, back } = afterDeeds(before.world, member.said)
    const worlds = back === undefined ? [world] : [world, back]
    return { worlds, opens: [open] }
  })
}

/** Each dies some time after it has opened the store; on a node it is the node's turn half of the time. */
async function killAll(
  members: readonly Member[],
  { node }: Ground,
  random: Random,
): Promise<readonly Death[]> {
  const most = node === undefined ? MOST_MS.file : MOST_MS.node
  const moments = members.map(() => random.int(1, most))
  const nodeDies = node !== undefined && random.next() < NODE_DIES
  const nodeAt = random.int(1, most)
  const deaths: Death[] = []
  const killMember = async (member: Member, ms: number): Promise<void> => {
    await member.opened()
    await sleep(ms)
    await member.kill()
    const step = stepOf(member)
    if (step !== 'ended before') deaths.push({ role: member.role, step })
  }
  const killNode = async (): Promise<void> => {
    await members[0]?.opened()
    await sleep(nodeAt)
    const busy = members.map((member) => `${member.role} ${stepOf(member)}`)
    await node?.kill()
    deaths.push(...busy.map((step): Death => ({ role: 'node', step })).slice(0, 1))
  }
  /** Garbage is collected while they work; the node may die of our hand before it answers. */
  const collect = async (): Promise<void> => {
    await sleep(random.int(1, most))
    await askNode(node?.url ?? '', 'repo/gc').catch(() => undefined)
  }
  const all = members.map((member, i) => killMember(member, moments[i] ?? 0))
  if (node !== undefined) all.push(collect())
  await Promise.all(nodeDies ? [...all, killNode()] : all)
  if (nodeDies) await node.restart()
  return deaths
}

interface Expected {
  /** One of these, */
  readonly worlds: readonly World[]
  /** with these writes or without. */
  readonly opens: Parameters<typeof compareWorld>[2]
}

async function judged(
  { number, ground, before, positions }: Setting,
  writers: readonly Member[],
  deaths: readonly Death[],
  members: readonly Member[],
  expect: () => Expected,
): Promise<Round> {
  const seen = await look(ground, (number + 1) * ROUND_LASTS_MS)
  const { worlds, opens } = expect()
  const found = worlds.map((world) => compareWorld(seen.world, world, opens))
  const wrong = found.some((problems) => problems.length === 0) ? [] : (found[0] ?? [])
  const nodeDied = deaths.some(({ role }) => role === 'node')
  const problems = [
    ...members.flatMap((member) => failuresOf(member, nodeDied)),
    ...writers.flatMap(({ said }) => positions.take(said)),
    ...wrong,
    ...compareSnapshots(before.snapshots, seen.snapshots),
    ...seen.problems,
  ]
  const acked = writers.flatMap(({ said }) => said).flatMap((one) => one.acked ?? []).length
  return { seen, deaths, acked, problems }
}

/** What a process ended with by itself. A build that another one overtook may be dropped. */
function failuresOf({ role, said }: Member, nodeDied: boolean): string[] {
  return said.flatMap(({ error, message }) => {
    if (error === undefined) return []
    if (nodeDied && OF_A_DEAD_NODE.has(error)) return []
    if (role === 'upkeep' && error === 'conflict') return []
    return [`a ${role} ended with ${error}: ${message}`]
  })
}

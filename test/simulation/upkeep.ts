/** Steps that keep a dataset in order: builds, rollbacks and prunes. */
import { sameCid } from '../../src/model/cid.ts'
import { expectTrue } from './check.ts'
import { expectCoded } from './ground.ts'
import type { Turn } from './turn.ts'

export async function build({ dataset, random }: Turn): Promise<void> {
  const tags = random.int(0, 4) === 0 ? ['kept'] : undefined
  await dataset.build({ force: random.int(0, 2) === 0, tags })
}

/** As cron does it: whatever was is forgotten, and gone where the store collects its garbage just then. */
export async function upkeep({ ground, process, dataset, random, what }: Turn): Promise<void> {
  try {
    await dataset.build({ force: true })
  } catch (error) {
    expectCoded(ground, process, what, error)
  }
  await dataset.prune({ policy: { last: 1 } })
  if (random.int(0, 1) === 0) ground.site.store.collect()
}

export async function rollback(turn: Turn): Promise<void> {
  const { ground, dataset, random, what } = turn
  const newest = ground.truth.newest(dataset.name)
  const commit = random.int(ground.truth.at(dataset.name, newest).commit.oldest, newest)
  const keepChain = random.int(0, 1) === 0
  const toCommit = random.int(0, 2) > 0
  const target = toCommit ? { commit } : { snapshot: `latest~${random.int(0, 2)}` }
  const { undo } = await dataset.rollback(target, { keepChain })
  const made = ground.truth.at(dataset.name, undo + 1)
  expectTrue(made.commit.reason === 'rollback', `${what}: commit ${undo + 1} is the rollback`)
  if (!toCommit) return
  for (const [pi, one] of ground.truth.at(dataset.name, commit).entries) {
    const there = made.entries.get(pi)
    const same = there !== undefined && there.ver === one.ver && sameCid(there.tip, one.tip)
    const later = keepChain && there !== undefined && there.position >= one.position
    expectTrue(same || later, `${what}: ${pi} is not as in commit ${commit}`)
  }
}

export async function prune({ dataset, random }: Turn): Promise<void> {
  const tags = random.int(0, 1) === 0 ? ['kept'] : []
  await dataset.prune({ policy: { last: random.int(1, 3), tags } })
}

/**
 * A dataset that has lived for a while: 10,000 entities, 30 snapshots, CARs of which one is a delta. Made once
 * for each state of the sources by a real service, whoever asks first; everybody gets a copy.
 */
import { createHash, randomBytes } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connect, type DatasetClient } from '../../src/client/index.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { builtDist } from '../helpers/built.ts'
import { serve } from '../helpers/served.ts'

const HERE = fileURLToPath(import.meta.url)
const CACHE = join(dirname(dirname(dirname(HERE))), 'node_modules', '.cache', 'cairn-seed')
const KEEP_MS = 3_600_000
const PATIENCE_MS = 40_000

const ENTITIES = 10_000
const SNAPSHOTS = 30
/** Of the newest snapshot: number 0 is empty, and the last one is built when the service ends. */
export const NEWEST: number = SNAPSHOTS + 1

/** Nothing starts by itself. */
export const STILL = ['build', 'export', 'prune', 'verify', 'drill'].flatMap((job) => [
  `--${job}-schedule`,
  'never',
])

/** The data folder of a service of this sandbox's own. To be called within a test. */
export async function seeded(sandbox: Sandbox): Promise<string> {
  const dir = sandbox.path(`seeded-${randomBytes(4).toString('hex')}`)
  await cp(await made(), dir, { recursive: true })
  return dir
}

async function made(): Promise<string> {
  const source = await readFile(HERE)
  const state = createHash('sha256')
    .update(await builtDist())
    .update(source)
  const target = join(CACHE, state.digest('hex').slice(0, 20))
  if (await exists(target)) return target
  await mkdir(CACHE, { recursive: true })
  const isFirst = await mkdir(`${target}-begun`).then(
    () => true,
    () => false,
  )
  // Whoever was first may have died.
  for (let waited = 0; !isFirst && waited < PATIENCE_MS; waited += 100) {
    await delay(100)
    if (await exists(target)) return target
  }
  await make(target)
  return target
}

async function make(target: string): Promise<void> {
  await dropOld()
  const unfinished = join(CACHE, `new-${process.pid}-${randomBytes(4).toString('hex')}`)
  const sandbox = await Sandbox.make()
  try {
    // Small leaves, so that there is a tree to be seen; and no build that was not asked for.
    const env = { CAIRN_CHUNK_SIZE: '500', CAIRN_CHAIN_LIMIT: '40000' }
    await sandbox.ok(['init', '--data-dir', unfinished], { env })
    const served = await serve(sandbox, STILL, env, unfinished)
    await live(connect({ url: served.url }).dataset('main'))
    served.child.kill('SIGTERM')
    await served.ended()
  } finally {
    await sandbox.remove()
  }
  await rename(unfinished, target).catch(async (error: unknown) => {
    await rm(unfinished, { recursive: true, force: true })
    if (!(await exists(target))) throw error
  })
}

const BATCH = 2000
const EXPORTS: Readonly<Record<number, 'whole' | 'delta'>> = {
  10: 'whole',
  20: 'delta',
  30: 'whole',
}

async function live(client: DatasetClient): Promise<void> {
  const all = Array.from({ length: ENTITIES }, (_, i) => entity(i, 0))
  for (let i = 0; i < all.length; i += BATCH) await client.appendBatch(all.slice(i, i + BATCH))
  for (let round = 1; round <= SNAPSHOTS; round++) {
    const tags = round === 12 ? ['release-2'] : []
    await client.run({ kind: 'build', reason: round % 3 === 0 ? 'schedule' : 'threshold', tags })
    const what = EXPORTS[round]
    if (what !== undefined)
      await client.run({ kind: 'export', since: what === 'delta' ? 'seq:10' : undefined })
    await client.appendBatch(changesOf(round))
  }
}

const idOf = (i: number): string =>
  `${['light', 'note', 'scene', 'user'][i % 4]}:${String(i).padStart(5, '0')}`

const entity = (i: number, round: number) => ({
  pi: idOf(i),
  value: { name: `Number ${i}`, round, at: { x: i % 97, y: i % 89 } },
})

/** 12 are changed, all near each other; 3 are new; one is deleted. */
function changesOf(round: number) {
  const first = (round * 331) % (ENTITIES - 60)
  return [
    ...Array.from({ length: 12 }, (_, i) => entity(first + 4 * i, round)),
    ...Array.from({ length: 3 }, (_, i) => entity(ENTITIES + round * 3 + i, round)),
    { pi: idOf(first + 1), tip: null },
  ]
}

async function dropOld(): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, basename(name))
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > KEEP_MS) await rm(path, { recursive: true, force: true })
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

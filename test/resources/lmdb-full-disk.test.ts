/**
 * The embedded store on a disk that fills up: real processes, since liblmdb may end one. The quick form
 * runs here; `RESOURCE_FILLS=100 RESOURCE_POINTS=40 npx vitest run test/resources` is the long one, and
 * `RESOURCE_SEED` repeats its points.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { randomInt } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { Random } from '../helpers/random.ts'
import { runWorker, type Ended } from './lmdb-child.ts'
import { CAN_MOUNT, smallDisk } from './small-disk.ts'

const MIB = 2 ** 20
const FILLS = Number(process.env['RESOURCE_FILLS'] ?? 5)
const MORE_POINTS = Number(process.env['RESOURCE_POINTS'] ?? 0)
const SEED = Number(process.env['RESOURCE_SEED'] ?? randomInt(2 ** 31))
/** Around each of the bounds of room.ts, and where nothing is left at all. */
const POINTS = [0, 64 * 1024, MIB + 64 * 1024, 3 * MIB, 8 * MIB + 64 * 1024, 9.5 * MIB, 60 * MIB]
const DISK = 100

let base: string
let template: Record<string, unknown>

beforeAll(async () => {
  await builtDist()
  base = await mkdtemp(join(tmpdir(), 'cairn-full-'))
})

afterAll(async () => {
  await rm(base, { recursive: true })
})

async function madeTemplate(): Promise<Record<string, unknown>> {
  if (template !== undefined) return template
  const { said, exit } = await runWorker('template', { folder: join(base, 'template') })
  expect([exit, said.at(-1)]).toEqual([0, expect.objectContaining({ car: expect.any(String) })])
  return (template = said.at(-1) ?? {})
}

/** It ended by itself, and neither it nor liblmdb had anything to complain of. */
function expectQuietEnd({ exit, signal, said, stderr }: Ended): void {
  expect({ exit, signal, last: exit === 0 ? undefined : said.at(-1), stderr }).toEqual({
    exit: 0,
    signal: null,
    last: undefined,
    stderr: '',
  })
}

const OPERATIONS = ['append', 'build', 'bulk', 'restore', 'export', 'prune', 'compact']

test.each(OPERATIONS)(
  `%s without enough space says so, loses nothing, and works when there is some${CAN_MOUNT ? '' : ' (CANNOT BE TRIED: needs root on Linux)'}`,
  async (operation) => {
    const disk = await smallDisk(DISK)
    const random = new Random(SEED)
    const more = Array.from({ length: MORE_POINTS }, () => random.int(0, 16 * MIB))
    const ended = await runWorker('points', {
      folder: disk.dir,
      operation,
      template: await madeTemplate(),
      car: (await madeTemplate())['car'],
      points: [...POINTS, ...more],
    })
    expectQuietEnd(ended)
    const tried = ended.said.filter(({ at }) => at !== undefined)
    const bad = tried.filter(
      ({ outcome, hint, problems }) =>
        JSON.stringify(problems) !== '[]' ||
        (outcome !== 'done' && (outcome !== 'no_space' || hint === undefined)),
    )
    expect(bad, `RESOURCE_SEED=${SEED}`).toEqual([])
    const outcomes = new Set(tried.map(({ outcome }) => outcome))
    expect(outcomes).toEqual(new Set(['no_space', 'done']))
    // What frees space lives on the reserve that what stores leaves.
    if (operation === 'export' || operation === 'compact') return // these need the space of a copy
    const within = tried.find(({ at }) => at === 3 * MIB)
    expect(within?.['outcome']).toBe(operation === 'prune' ? 'done' : 'no_space')
  },
)

const FILLINGS = [
  { size: 1, many: 50, lanes: 4, buildEvery: 40 },
  { size: 20, many: 20, lanes: 4, buildEvery: 30 },
  { size: 4, many: 200, lanes: 2, buildEvery: 10 },
  { size: 600, many: 3, lanes: 8, buildEvery: 20 },
  { size: 60, many: 1, lanes: 16, buildEvery: 60 },
]

test(`${FILLS} disks that are filled end no process, lose nothing, and can be pruned${CAN_MOUNT ? '' : ' (CANNOT BE TRIED: needs root on Linux)'}`, async () => {
  const told: Record<string, unknown>[] = []
  for (let n = 0; n < FILLS; n++) {
    const disk = await smallDisk(24 + 4 * (n % 4))
    const filling = FILLINGS[n % FILLINGS.length]
    const ended = await runWorker('fill', { folder: disk.dir, errors: 30, ...filling })
    expectQuietEnd(ended)
    expect(ended.said).toHaveLength(1)
    const [said = {}] = ended.said
    expect(said).toMatchObject({ same: true, codes: { no_space: expect.any(Number) } })
    // A reserve stays, out of which the prune was paid.
    expect(said['least']).toBeGreaterThanOrEqual(MIB)
    told.push({ ...filling, ...said })
  }
  if (FILLS > FILLINGS.length)
    process.stdout.write(`${told.map((one) => JSON.stringify(one)).join('\n')}\n`)
  expect(told.map(({ pruned }) => pruned)).toContain('done')
}, 600_000)

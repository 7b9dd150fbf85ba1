/**
 * What today's Cairn does with a fixture: every operation a reader has, each with an answer that can be
 * written down. Nothing in the fixture's folder is changed.
 */
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openCairn } from '../../src/compose.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { parseSidecar } from '../../src/backup/sidecar.ts'
import { CarFile } from '../../src/car/file.ts'
import { peekCar } from '../../src/car/peek.ts'
import { factsOf, findCarState } from '../../src/car/state.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { verifyCar } from '../../src/engine/verify-car.ts'
import { toCairnError } from '../../src/errors.ts'
import { printCid, type CidBytes } from '../../src/model/cid.ts'
import type { Entry } from '../../src/model/entry.ts'
import type { Backend } from '../../src/store/backend.ts'
import { Ledger } from '../../src/verify/ledger.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { CARS, CONFIG, inTempDir, LEDGER, SIDECAR, unpackStore, writeCar } from './fixture.ts'
import { fillStore, openAt, READ } from './recipe.ts'

/** Read as it was, or refused with a code and a hint: there is no third. */
export type Outcome =
  | { readonly read: unknown }
  | { readonly refused: string; readonly message: string; readonly hint: string }

export type Operation = (fixture: string) => Promise<unknown>

export async function outcomeOf(work: Promise<unknown>): Promise<Outcome> {
  try {
    // As it is written into a manifest.
    return { read: JSON.parse(JSON.stringify((await work) ?? null)) as unknown }
  } catch (error) {
    const { code, message, hint = '' } = toCairnError(error)
    return { refused: code, message, hint }
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const line = ({ pi, ver, tip }: Entry): string =>
  `${pi}@${ver} ${tip === null ? 'deleted' : printCid(tip)}`

/** Many lines as few: what two lists that are the same have in common. */
export function summed(lines: readonly string[]): Readonly<Record<string, unknown>> {
  const sha256 = createHash('sha256').update(lines.join('\n')).digest('hex')
  return { count: lines.length, first: lines[0] ?? null, last: lines.at(-1) ?? null, sha256 }
}

export async function entityLines(dataset: Dataset): Promise<unknown> {
  return summed((await collect(dataset.entries())).map(line).toSorted())
}

/** Runs on a copy of the fixture's embedded store. */
function onStore(
  work: (cairn: Cairn, backend: Backend, temp: string) => Promise<unknown>,
): Operation {
  return (fixture) =>
    inTempDir(async (temp) => {
      const dir = join(temp, 'store')
      await unpackStore(fixture, dir)
      const backend = await openLmdb({ dir })
      try {
        return await work(
          openAt(backend, () => READ),
          backend,
          temp,
        )
      } finally {
        await backend.close()
      }
    })
}

const onMain = (work: (dataset: Dataset) => Promise<unknown>): Operation =>
  onStore(async (cairn) => work(await cairn.dataset('main')))

async function pages(dataset: Dataset): Promise<unknown> {
  const lines: string[] = []
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await dataset.list({ limit: 40, order: 'asc', cursor })
    lines.push(...page.items.map(line))
    cursor = page.nextCursor
  }
  return summed(lines)
}

async function got(dataset: Dataset, pi: string): Promise<string | null> {
  const entry = await dataset.get(pi)
  return entry === undefined ? null : line(entry)
}

async function contentOf(dataset: Dataset, pi: string): Promise<unknown> {
  const entry = await dataset.get(pi)
  const tip = entry?.tip ?? null
  return tip === null ? null : dataset.content(tip)
}

async function inside(dataset: Dataset): Promise<unknown> {
  const { root, pointer } = await dataset.status()
  const { latest_snapshot_cid, snapshot_seq, recent_count, total_count } = pointer
  return { root, latest_snapshot_cid, snapshot_seq, recent_count, total_count }
}

/** Opens CARs of a fixture. */
async function withCars<T>(
  fixture: string,
  names: readonly string[],
  work: (cars: CarFile[]) => Promise<T>,
): Promise<T> {
  const cars: CarFile[] = []
  try {
    for (const name of names) cars.push(await CarFile.open(join(fixture, name)))
    return await work(cars)
  } finally {
    for (const car of cars) await car.close()
  }
}

const restored =
  (...names: string[]): Operation =>
  (fixture) =>
    withCars(fixture, names, async (cars) => {
      const cairn = openAt(openMemory(), () => READ)
      const { status, dataset } = await cairn.restoreCar(cars)
      const there = await cairn.dataset(dataset)
      return {
        status,
        dataset,
        ...((await inside(there)) as object),
        lines: await entityLines(there),
      }
    })

const verified =
  (...names: string[]): Operation =>
  (fixture) =>
    withCars(fixture, names, async (cars) => {
      const { verdict, states, counts, problems } = await verifyCar(cars)
      return { verdict, states, counts, problems }
    })

const inspected =
  (name: string): Operation =>
  async (fixture) => {
    const car = await peekCar(join(fixture, name))
    const state = findCarState([car])
    const text = (cid: CidBytes | null): string | null => cid && printCid(cid)
    const { dataset, identity, content, chain, base, recentCount, next, totalCount } =
      factsOf(state)
    const same = { dataset, identity, content, recentCount, next, totalCount }
    return { ...same, snapshot: text(state.snapshot), base: text(base), chain: text(chain) }
  }

const names = Object.keys(CARS)

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  open: onStore(async (cairn) => {
    const datasets = await cairn.datasets()
    const all = datasets.map(async (name) => inside(await cairn.dataset(name)))
    return { datasets, inside: await Promise.all(all) }
  }),
  get: onMain((dataset) =>
    Promise.all(
      ['E000', 'E001', 'E002', 'soon gone', 'late', 'nobody'].map((pi) => got(dataset, pi)),
    ),
  ),
  content: onMain((dataset) => contentOf(dataset, 'E001')),
  list: onMain(pages),
  'list from an offset': onMain(async (dataset) =>
    (await dataset.list({ offset: 20, limit: 5 })).items.map(line),
  ),
  'list at a snapshot': onMain(async (dataset) =>
    summed((await dataset.list({ at: { snapshot: 'first' }, limit: 200 })).items.map(line)),
  ),
  'list at a commit': onMain(async (dataset) =>
    summed((await dataset.list({ at: { commit: 3 }, limit: 200 })).items.map(line)),
  ),
  snapshots: onMain(async (dataset) =>
    (await collect(dataset.snapshots())).map(({ cid, seq, entries, live, tags }) => ({
      cid: printCid(cid),
      seq,
      entries,
      live,
      tags,
    })),
  ),
  history: onMain(async (dataset) =>
    (await collect(dataset.history('E001'))).map(
      ({ entry, position }) => `${position}: ${line(entry)}`,
    ),
  ),
  diff: onMain(async (dataset) =>
    summed(
      (await collect(dataset.diff('first', 'second'))).map(
        ({ pi, before, after }) => `${pi} ${before?.ver ?? '-'} ${after?.ver ?? '-'}`,
      ),
    ),
  ),
  'append and build': onMain(async (dataset) => {
    const { ver, position } = await dataset.put('E001', { of: 'a later version' })
    const { status, root, seq, live } = await dataset.build()
    return { ver, position, status, root: printCid(root), seq, live, now: await inside(dataset) }
  }),
  rollback: onMain(async (dataset) => {
    const { seq, undo } = await dataset.rollback({ snapshot: 'first' }, { keepChain: true })
    return { seq, undo, lines: await entityLines(dataset) }
  }),
  prune: onMain(async (dataset) => {
    const { status, kept, forgotten } = await dataset.prune({ policy: { last: 1 } })
    return { status, kept, forgotten, lines: await entityLines(dataset) }
  }),
  export: onStore(async (cairn, _, temp) => {
    await mkdir(temp, { recursive: true })
    const path = join(temp, 'export.car')
    await writeCar(await cairn.dataset('main'), path, 1)
    return restored('export.car')(temp)
  }),
  verify: onStore(async (_, backend, temp) => {
    const options = { mode: { kind: 'full' as const }, ledgerDir: temp, now: () => READ }
    const { verdict, blocks, snapshots, problems } = await verifyDataset(backend, 'main', options)
    return { verdict, blocks, snapshots, problems }
  }),
  'restore full.car': restored('full.car'),
  'restore full-v2.car': restored('full-v2.car'),
  'restore index.car': restored('index.car'),
  'restore base.car and delta.car': restored('base.car', 'delta.car'),
  ...Object.fromEntries(
    names.flatMap((name): [string, Operation][] => [
      [`car verify ${name}`, verified(name)],
      [`car inspect ${name}`, inspected(name)],
    ]),
  ),
  'open full.car as a store': async (fixture) => {
    await using cairn = await openCairn(`car:${join(fixture, 'full.car')}`, { now: () => READ })
    return await entityLines(await cairn.dataset('main'))
  },
  sidecar: async (fixture) => parseSidecar(await readFile(join(fixture, SIDECAR), 'utf8')),
  config: async (fixture) => {
    const given = { flags: {}, configFile: CONFIG, env: {}, cwd: fixture }
    const { store, chunk_size } = (await resolveConfig(given)).values
    return { store, chunk_size }
  },
  ledger: (fixture) => inTempDir((temp) => readLedger(fixture, temp)),
}

/** The ledger of the recipe's `main` on a memory store, put where Cairn looks for it. */
async function readLedger(fixture: string, temp: string): Promise<unknown> {
  const backend = openMemory()
  await fillStore(backend)
  const { pointer } = await (await openAt(backend, () => READ).dataset('main')).status()
  const { identity } = pointer
  const of = { location: backend.location, dataset: 'main', identity }
  const { path } = await Ledger.open(temp, of)
  await copyFile(join(fixture, LEDGER), path)
  const ledger = await Ledger.open(temp, of)
  const { snapshot } = findCarState([await peekCar(join(fixture, 'full.car'))])
  const spine = ledger.get(`spine:${printCid(snapshot)}`)
  return { size: ledger.size, note: ledger.note ?? null, spine }
}

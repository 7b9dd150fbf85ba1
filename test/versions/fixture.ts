/**
 * A fixture of fixtures/versions: a folder with what one version of Cairn has written, and what was read
 * of it then. `writeFixture` is the only writer; older folders stay as they are for ever.
 */
import { mkdir, mkdtemp, open, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openLmdbFiles, openTables, type Table } from '../../src/backend/lmdb/tables.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { printSidecar, sidecarOf } from '../../src/backup/sidecar.ts'
import { CarFile } from '../../src/car/file.ts'
import { stateOfRoot } from '../../src/car/state.ts'
import { FileSink } from '../../src/car/file-sink.ts'
import { CarV2Writer } from '../../src/car/writer-v2.ts'
import { CarWriter } from '../../src/car/writer.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ExportCarOptions, ExportedCar } from '../../src/engine/export-car.ts'
import type { Backend } from '../../src/store/backend.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { fillStore, openAt, WRITTEN } from './recipe.ts'

export const STORE = 'data.mdb.gz'
export const SIDECAR = 'full.sidecar'
export const LEDGER = 'ledger.ndjson'
export const CONFIG = 'config'
export const MANIFEST = 'manifest.json'

interface CarPlan extends Pick<ExportCarOptions, 'content' | 'snapshot' | 'since'> {
  readonly dataset: string
  readonly version: 1 | 2
}

export const CARS: Readonly<Record<string, CarPlan>> = {
  'full.car': { dataset: 'main', version: 1 },
  'full-v2.car': { dataset: 'main', version: 2 },
  'base.car': { dataset: 'main', version: 1, snapshot: 'first' },
  'delta.car': { dataset: 'main', version: 1, since: 'first' },
  'index.car': { dataset: 'outside', version: 1, content: 'index' },
}

const CONFIG_TEXT = '{ "store": "lmdb:/data", "chunk_size": 64 }\n'

/** The names of the fixtures, the oldest first: `format-1`, `format-2`, ... */
export async function fixtureNames(folder: string): Promise<string[]> {
  const numberOf = (name: string): number => Number(/^format-(\d+)$/.exec(name)?.[1])
  const names = await readdir(folder)
  return names
    .filter((name) => Number.isInteger(numberOf(name)))
    .toSorted((a, b) => numberOf(a) - numberOf(b))
}

/** A folder that is gone when `work` has ended. */
export async function inTempDir<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-versions-'))
  try {
    return await work(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Writes everything but the manifest. */
export async function writeFiles(to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  const backend = openMemory()
  await fillStore(backend)
  for (const [name, plan] of Object.entries(CARS)) await writeCarFile(backend, to, name, plan)
  await writeLedger(backend, to)
  await writeFile(join(to, CONFIG), CONFIG_TEXT)
  await inTempDir(async (dir) => {
    const store = await openLmdb({ dir, create: true })
    await fillStore(store)
    await store.close()
    const bytes = await readFile(join(dir, 'data.mdb'))
    await writeFile(join(to, STORE), gzipSync(bytes, { level: 9 }))
  })
}

async function writeCarFile(
  backend: Backend,
  to: string,
  name: string,
  { dataset: of, version, ...options }: CarPlan,
): Promise<void> {
  const dataset = await openAt(backend, () => WRITTEN).dataset(of)
  const path = join(to, name)
  const exported = await writeCar(dataset, path, version, options)
  if (name === 'full.car') await writeSidecar(to, path, exported)
}

export async function writeCar(
  dataset: Dataset,
  path: string,
  version: 1 | 2,
  options: ExportCarOptions = {},
): Promise<ExportedCar> {
  const handle = await open(path, 'wx+')
  try {
    return await dataset.exportCar(
      (root) =>
        version === 1
          ? CarWriter.begin(new FileSink(handle), [root])
          : CarV2Writer.begin(handle, [root]),
      options,
    )
  } finally {
    await handle.close()
  }
}

async function writeSidecar(to: string, path: string, exported: ExportedCar): Promise<void> {
  const car = await CarFile.open(path)
  const { checkpoint } = stateOfRoot([car], exported.checkpoint)
  await car.close()
  if (checkpoint === undefined) throw new Error('an export without a checkpoint')
  const { bytes: sizeBytes, sha256 } = exported
  const facts = {
    exported,
    checkpoint,
    version: 1 as const,
    recipients: [],
    sizeBytes,
    sha256,
    verifiedAt: WRITTEN,
  }
  const place = { filename: 'full.car', path: '/backups/full.car', timestamp: '20231119-221320' }
  await writeFile(join(to, SIDECAR), printSidecar(sidecarOf(facts, place)))
}

async function writeLedger(backend: Backend, to: string): Promise<void> {
  await inTempDir(async (ledgerDir) => {
    const now = (): number => WRITTEN
    const { ledger } = await verifyDataset(backend, 'main', {
      mode: { kind: 'full' },
      ledgerDir,
      now,
    })
    await writeFile(join(to, LEDGER), await readFile(ledger))
  })
}

/** The store of a fixture as files of lmdb, in a folder. */
export async function unpackStore(fixture: string, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'data.mdb'), gunzipSync(await readFile(join(fixture, STORE))))
}

/** What the tables of an embedded store hold, as lines; leases aside, which are of a moment. */
export async function dumpStore(dir: string): Promise<string[]> {
  const env = openLmdbFiles(dir)
  try {
    const { heads, ...tables } = await openTables(env, dir, false)
    return [
      ...rowsOf('heads', heads),
      ...(['meta', 'blocks', 'digests', 'commits', 'touched'] as const).flatMap((name) =>
        rowsOf(name, tables[name]),
      ),
    ]
  } finally {
    await env.close()
  }
}

function rowsOf<K extends string | Uint8Array>(name: string, table: Table<K>): string[] {
  const hex = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString('hex')
  return Array.from(table.getRange({}), ({ key, value }) => `${name} ${hex(key)} ${hex(value)}`)
}

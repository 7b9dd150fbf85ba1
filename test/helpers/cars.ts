/** CAR files in tests: a folder of their own, writing one from a dataset, opening it, and stock tools. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CarFile } from '../../src/car/file.ts'
import { FileSink } from '../../src/car/file-sink.ts'
import { CarWriter } from '../../src/car/writer.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ExportCarOptions, ExportedCar } from '../../src/engine/export-car.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'cairn-cars-'))
process.on('exit', () => void rm(FOLDER, { recursive: true, force: true }))

export const carPath = (): string => join(FOLDER, `${randomBytes(6).toString('hex')}.car`)

export async function writeCar(
  dataset: Dataset,
  path: string,
  options: ExportCarOptions = {},
  onBegin: () => Promise<void> = () => Promise.resolve(),
): Promise<ExportedCar> {
  const handle = await open(path, 'w+')
  try {
    const begin = async (root: Uint8Array): Promise<CarWriter> => {
      await onBegin()
      return CarWriter.begin(new FileSink(handle), [root])
    }
    return await dataset.exportCar(begin, options)
  } finally {
    await handle.close()
  }
}

/** A CAR of a dataset, opened; it is closed with `await using`. */
export async function exported(
  dataset: Dataset,
  options: ExportCarOptions = {},
): Promise<{
  car: CarFile
  report: ExportedCar
  path: string
  [Symbol.asyncDispose](): Promise<void>
}> {
  const path = carPath()
  const report = await writeCar(dataset, path, options)
  const car = await CarFile.open(path)
  return {
    car,
    report,
    path,
    [Symbol.asyncDispose]: async () => {
      await car.close()
      await rm(path, { force: true })
    },
  }
}

/** `ipfs dag import` of a file: what the node says of its roots and of the blocks. */
export async function dagImport(
  url: string,
  path: string,
  query: Record<string, string> = {},
): Promise<{ roots: { cid: string; error: string }[]; blocks: number }> {
  const form = new FormData()
  form.append('file', new Blob([await readFile(path)]))
  const search = new URLSearchParams({ stats: 'true', ...query }).toString()
  const response = await fetch(`${url}/api/v0/dag/import?${search}`, { method: 'POST', body: form })
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  const roots: { cid: string; error: string }[] = []
  let blocks = 0
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const event = JSON.parse(line) as {
      Root?: { Cid: { '/': string }; PinErrorMsg: string }
      Stats?: { BlockCount: number }
    }
    if (event.Root) roots.push({ cid: event.Root.Cid['/'], error: event.Root.PinErrorMsg })
    if (event.Stats) blocks = event.Stats.BlockCount
  }
  return { roots, blocks }
}

/** `ipfs dag export` of a root, to a file. */
export async function dagExport(url: string, root: string): Promise<string> {
  const response = await fetch(`${url}/api/v0/dag/export?arg=${root}&offline=true`, {
    method: 'POST',
  })
  if (!response.ok) throw new Error(await response.text())
  const path = carPath()
  const handle = await open(path, 'wx')
  await handle.writeFile(new Uint8Array(await response.arrayBuffer()))
  await handle.close()
  return path
}

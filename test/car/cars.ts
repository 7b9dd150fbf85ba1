/** CARs for tests, and what other readers find in them. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CarReader, CarWriter as OtherWriter } from '@ipld/car'
import { CID } from 'multiformats/cid'
import { onTestFinished } from 'vitest'
import { CarFile, type CarFileOptions } from '../../src/car/file.ts'
import { carHeader, sectionHead } from '../../src/car/encode.ts'
import { cborCidOf, rawCidOf, type Block, type CidBytes } from '../../src/model/cid.ts'
import { collect, tempDir } from '../helpers/engine.ts'

export const rawBlock = (bytes: Uint8Array): Block => ({ cid: rawCidOf(bytes), bytes })
export const cborBlock = (bytes: Uint8Array): Block => ({ cid: cborCidOf(bytes), bytes })

/** The block of an identity CID, which has it in itself. */
export function identityBlock(bytes: Uint8Array): Block {
  return { cid: Uint8Array.from([1, 0x55, 0, bytes.length, ...bytes]), bytes }
}

/** A CID of version 0: the bare multihash. */
export function oldBlock(bytes: Uint8Array): Block {
  return { cid: rawCidOf(bytes).slice(2), bytes }
}

export function carBytes(roots: readonly CidBytes[], blocks: readonly Block[]): Uint8Array {
  const sections = blocks.flatMap(({ cid, bytes }) => [sectionHead(cid, bytes.length), bytes])
  return Buffer.concat([carHeader(roots), ...sections])
}

/** The same CAR as @ipld/car writes it. */
export async function otherCar(
  roots: readonly CidBytes[],
  blocks: readonly Block[],
): Promise<Buffer> {
  const { writer, out } = OtherWriter.create(roots.map((cid) => CID.decode(cid)))
  const written = collect(out)
  for (const { cid, bytes } of blocks) await writer.put({ cid: CID.decode(cid), bytes })
  await writer.close()
  return Buffer.concat(await written)
}

export interface Found {
  readonly roots: string[]
  readonly blocks: string[]
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
export const blockText = ({ cid, bytes }: Block): string => `${hex(cid)} ${hex(bytes)}`

/** What @ipld/car reads; undefined if it refuses. */
export async function otherReading(car: Uint8Array): Promise<Found | undefined> {
  try {
    const reader = await CarReader.fromBytes(car)
    const roots = (await reader.getRoots()).map((cid) => hex(cid.bytes))
    const blocks: string[] = []
    for await (const { cid, bytes } of reader.blocks()) {
      blocks.push(blockText({ cid: cid.bytes, bytes }))
    }
    return { roots, blocks }
  } catch {
    return undefined
  }
}

/** What an opened CAR has, by its sections. */
export async function reading(car: CarFile): Promise<Found> {
  const blocks: string[] = []
  for await (const batch of car.sections()) blocks.push(...batch.map(blockText))
  return { roots: car.roots.map(hex), blocks }
}

let files = 0

/** Opens `bytes` as a CAR file, closed when the test has finished. */
export async function openBytes(
  dir: string,
  bytes: Uint8Array,
  options?: CarFileOptions,
): Promise<CarFile> {
  files += 1
  const path = join(dir, `${files}.car`)
  await writeFile(path, bytes)
  return CarFile.open(path, options)
}

export async function carAt(bytes: Uint8Array, options?: CarFileOptions): Promise<CarFile> {
  const car = await openBytes(await tempDir(), bytes, options)
  onTestFinished(() => car.close())
  return car
}

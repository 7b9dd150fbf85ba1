/**
 * CARs of a made-up next version of Cairn: each kind of record in them with its tag raised, with a field
 * more or less. Nothing of them is taken over, and a store that they were to go into stays as it was.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import * as dagCbor from '@ipld/dag-cbor'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { openMemory } from '../../src/backend/memory.ts'
import { CarFile } from '../../src/car/file.ts'
import { FileSink } from '../../src/car/file-sink.ts'
import { peekCar } from '../../src/car/peek.ts'
import { findCarState } from '../../src/car/state.ts'
import { CarWriter } from '../../src/car/writer.ts'
import { openCairn } from '../../src/compose.ts'
import { verifyCar } from '../../src/engine/verify-car.ts'
import { cidKey, type CidBytes } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { inTempDir } from './fixture.ts'
import { EDITS, forgedBlocks } from './forge.ts'
import { outcomeOf } from './operations.ts'
import { fillStore, openAt, READ } from './recipe.ts'

interface RawCar {
  readonly root: CidBytes
  readonly blocks: ReadonlyMap<string, Uint8Array>
}

const DAMAGE = ['invalid_block', 'invalid_car']

let full: RawCar
let filled: Backend

/** The blocks of the CAR, in their order, as it is written for `main`. */
beforeAll(async () => {
  filled = openMemory()
  await fillStore(filled)
  const blocks = new Map<string, Uint8Array>()
  const roots: CidBytes[] = []
  await (
    await openAt(filled, () => READ).dataset('main')
  ).exportCar(async (root) => {
    roots.push(root)
    return {
      put: (cid, bytes) => void blocks.set(cidKey(cid), new Uint8Array(bytes)),
      finish: async () => ({ bytes: 0, blocks: blocks.size, sha256: '' }),
    }
  })
  full = { root: roots[0] ?? new Uint8Array(), blocks }
})

/** The first block with a tag, in the order of the CAR, and of nodes with a level. */
function recordOf(tag: string, level?: number): CidBytes {
  for (const [key, bytes] of full.blocks) {
    const cid = Buffer.from(key, 'latin1')
    if (cid[1] !== dagCbor.code) continue
    const row = dagCbor.decode<Readonly<Record<string, unknown>>>(bytes)
    if (row['schema'] === `cairn/${tag}@v1` && row['level'] === level) return cid
  }
  throw new Error(`no ${tag} in the CAR`)
}

async function writeRaw({ root, blocks }: RawCar, path: string): Promise<void> {
  const handle = await open(path, 'wx+')
  try {
    const writer = await CarWriter.begin(new FileSink(handle), [root])
    for (const [key, bytes] of blocks) await writer.put(Buffer.from(key, 'latin1'), bytes)
    await writer.finish()
  } finally {
    await handle.close()
  }
}

async function restore(path: string, backend: Backend, replace: boolean): Promise<string> {
  const car = await CarFile.open(path)
  try {
    const { status } = await openAt(backend, () => READ).restoreCar([car], { replace })
    return status
  } finally {
    await car.close()
  }
}

async function asStore(path: string): Promise<number> {
  await using cairn = await openCairn(`car:${path}`, { now: () => READ })
  const { items } = await (await cairn.dataset('main')).list({ limit: 500 })
  return items.length
}

const RECORDS: Readonly<Record<string, () => CidBytes>> = {
  checkpoint: () => full.root,
  header: () => recordOf('snapshot'),
  branch: () => recordOf('node', 1),
  leaf: () => recordOf('node', 0),
  'chain list': () => recordOf('chain-list', 0),
  'chain block': () => recordOf('chain'),
}

test('a CAR that is written again without a change is whole, and restores', async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, 'sound.car')
    const { blocks, moved } = forgedBlocks(full.blocks, null, (row) => row)
    await writeRaw({ root: moved(full.root), blocks }, path)
    expect(await restore(path, openMemory(), false)).toBe('restored')
    expect(await asStore(path)).toBe(144)
  })
})

describe.each(Object.entries(EDITS))('%s', (_, { newer, edit }) => {
  const codes = newer ? ['format_unsupported'] : DAMAGE

  test.each(Object.keys(RECORDS))('of the %s', async (record) => {
    const target = RECORDS[record]?.() ?? null
    const { blocks, moved } = forgedBlocks(full.blocks, target, edit)
    await inTempDir(async (dir) => {
      const path = join(dir, 'next.car')
      await writeRaw({ root: moved(full.root), blocks }, path)
      const refuses = async (work: Promise<unknown>): Promise<void> => {
        const outcome = await outcomeOf(work)
        if (!('refused' in outcome)) expect.fail(`it was taken: ${JSON.stringify(outcome)}`)
        expect(codes, outcome.message).toContain(outcome.refused)
        expect(outcome.hint, outcome.message).toMatch(newer ? /version/ : /\S/)
      }
      const empty = openMemory()
      await refuses(restore(path, empty, false))
      expect(await empty.datasets()).toEqual([])
      const before = await filled.newest('main', -1)
      await refuses(restore(path, filled, true))
      expect(await filled.newest('main', -1)).toEqual(before)
      await refuses(asStore(path))
      if (record === 'checkpoint' || record === 'header')
        await refuses(peekCar(path).then((car) => findCarState([car])))
      await using car = await closing(path)
      const { verdict, problems } = await verifyCar([car.file])
      expect(verdict).not.toBe('whole')
      expect(codes).toContain(problems.find(({ cid }) => cid !== null)?.code)
    })
  })
})

async function closing(
  path: string,
): Promise<{ file: CarFile; [Symbol.asyncDispose](): Promise<void> }> {
  const file = await CarFile.open(path)
  return { file, [Symbol.asyncDispose]: () => file.close() }
}

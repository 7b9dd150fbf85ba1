/** What tests of the import share: sources made of files and of blocks, and ways to look at the outcome. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import { onTestFinished } from 'vitest'
import { importArke, type ArkeOptions, type ArkeReport } from '../../src/arke/import.ts'
import type { FindingKind } from '../../src/arke/report.ts'
import type { OldFiles, OldSource } from '../../src/arke/source.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { CarFile } from '../../src/car/file.ts'
import { Cairn } from '../../src/cairn.ts'
import { digestKey, printCid } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'

export const FIXTURES: string = fileURLToPath(new URL('../../fixtures/arke/', import.meta.url))

export interface ExpectedEntity {
  readonly ver: number
  readonly tip: string
  readonly ts: number
}

export interface Expected {
  readonly root: string
  readonly entities: Readonly<Record<string, ExpectedEntity>>
  readonly findings: Readonly<Record<string, number>>
  readonly all?: ExpectedEntity & { readonly count: number }
}

export async function readExpected(): Promise<Record<string, Expected>> {
  const text = await readFile(join(FIXTURES, 'made', 'expected.json'), 'utf8')
  const { files: _, ...cars } = JSON.parse(text) as Record<string, Expected>
  return cars
}

export async function carSource(name: string): Promise<OldSource> {
  const car = await CarFile.open(join(FIXTURES, name))
  onTestFinished(() => car.close())
  return { blocks: car, roots: car.roots }
}

/** A source made by hand, right or wrong. */
export class Blocks {
  readonly #blocks = new Map<string, Uint8Array>()

  json(value: unknown): CID {
    return this.put(0x0129, dagJson.encode(value))
  }

  cbor(value: unknown): CID {
    return this.put(0x71, dagCbor.encode(value))
  }

  put(codec: number, bytes: Uint8Array): CID {
    const digest = digestOf(0x12, createHash('sha256').update(bytes).digest())
    const cid = CID.createV1(codec, digest)
    this.#blocks.set(digestKey(cid.bytes), bytes)
    return cid
  }

  remove(cid: CID): void {
    this.#blocks.delete(digestKey(cid.bytes))
  }

  damage(cid: CID): void {
    const bytes = new Uint8Array(this.#blocks.get(digestKey(cid.bytes)) ?? [])
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    this.#blocks.set(digestKey(cid.bytes), bytes)
  }

  source(root: CID | undefined, files?: Readonly<Record<string, string>>): OldSource {
    const blocks = this.#blocks
    return {
      blocks: {
        getBlocks: async (cids) => cids.map((cid) => blocks.get(digestKey(cid))),
        hasBlocks: async (cids) => cids.map((cid) => blocks.has(digestKey(cid))),
      },
      ...(files === undefined ? {} : { files: oldFiles(files) }),
      ...(root === undefined ? {} : { roots: [root.bytes] }),
    }
  }
}

function oldFiles(files: Readonly<Record<string, string>>): OldFiles {
  return {
    read: async (path) => {
      const text = files[path]
      return text === undefined ? undefined : Buffer.from(text)
    },
    list: async (path) => {
      const under = Object.keys(files).filter((name) => name.startsWith(`${path}/`))
      const names = under.map((name) => name.slice(path.length + 1).split('/')[0] ?? '')
      return under.length === 0 ? undefined : [...new Set(names)]
    },
  }
}

export interface Store {
  readonly backend: Backend
  readonly cairn: Cairn
}

export function openStore(): Store {
  const backend = openMemory()
  return { backend, cairn: new Cairn(backend) }
}

export function importInto(
  store: Store | undefined,
  source: OldSource,
  options: Partial<ArkeOptions> = {},
): Promise<ArkeReport> {
  return importArke(source, store, {
    content: 'auto',
    skipMissing: false,
    history: true,
    dataset: 'main',
    testDataset: 'main-test',
    ...options,
  })
}

export async function stateOf(
  { cairn }: Store,
  dataset = 'main',
): Promise<Record<string, ExpectedEntity>> {
  const state: Record<string, ExpectedEntity> = {}
  for await (const { pi, ver, tip, ts } of (await cairn.dataset(dataset)).entries())
    state[pi] = { ver, tip: tip === null ? '' : printCid(tip), ts }
  return state
}

export function countsOf({ findings }: ArkeReport): Partial<Record<FindingKind, number>> {
  return Object.fromEntries(findings.map(({ kind, count }) => [kind, count]))
}

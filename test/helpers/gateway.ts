/** What gateways are asked for in tests: DAGs in a store, and CARs taken apart by another library. */
import { CarReader } from '@ipld/car'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import type { CID } from 'multiformats/cid'
import { cidMatches, printCid, type Block, type CidBytes } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'

export interface Dag {
  readonly root: CidBytes
  readonly blocks: readonly Block[]
}

export interface UnixFsOptions {
  readonly chunkSize?: number
  /** Links of a node of a file. */
  readonly width?: number
  /** Directories are sharded from the first name on. */
  readonly sharded?: boolean
}

/** A file where there is one without a path; else a directory of files. */
export async function unixFs(
  files: readonly { readonly path?: string; readonly content: Uint8Array }[],
  { chunkSize = 1 << 18, width = 174, sharded = false }: UnixFsOptions = {},
): Promise<Dag> {
  const blocks: Block[] = []
  const store = {
    put: (cid: CID, bytes: unknown) => {
      blocks.push({ cid: cid.bytes, bytes: bytes as Uint8Array })
      return cid
    },
  }
  let root: CidBytes | undefined
  const options = {
    chunker: fixedSize({ chunkSize }),
    layout: balanced({ maxChildrenPerNode: width }),
    rawLeaves: true,
    cidVersion: 1 as const,
    wrapWithDirectory: files.some(({ path }) => path !== undefined),
    ...(sharded ? { shardSplitThresholdBytes: 0 } : {}),
  }
  for await (const { cid } of importer(files, store, options)) root = cid.bytes
  if (root === undefined) throw new Error('nothing was made')
  return { root, blocks }
}

/** Into the store, and held by nothing. */
export async function storeBlocks(backend: Backend, blocks: readonly Block[]): Promise<void> {
  const staging = await backend.stage('main', 'for a test')
  await staging.put(blocks.map((block) => ({ ...block, hold: 'staged' })))
  await staging.flush()
  await staging.end('dropped')
}

export interface ReadCar {
  readonly roots: readonly string[]
  /** In the order of the CAR, each hashed. */
  readonly cids: readonly string[]
  readonly blocks: readonly Block[]
}

export async function readCar(bytes: Uint8Array): Promise<ReadCar> {
  const reader = await CarReader.fromBytes(bytes)
  const blocks: Block[] = []
  for await (const { cid, bytes: block } of reader.blocks()) {
    if (!cidMatches(cid.bytes, block)) throw new Error(`${cid.toString()} has other bytes`)
    blocks.push({ cid: cid.bytes, bytes: block })
  }
  return {
    roots: (await reader.getRoots()).map((cid) => cid.toString()),
    cids: blocks.map(({ cid }) => printCid(cid)),
    blocks,
  }
}

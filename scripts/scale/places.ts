/** Empty stores: a folder, a node of its own, or a bucket of its own on one server for all. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askNode, startKuboNode } from '../../test/helpers/kubo-node.ts'
import { openBackend } from '../../src/compose.ts'
import { startMinio, type Minio } from '../../test/helpers/minio.ts'
import { bytesOfNode, bytesOfStore } from '../../test/kills/live-bytes.ts'

export type BackendName = 'lmdb' | 'kubo' | 's3'

export interface Place {
  /** As `--store` takes it. */
  readonly store: string
  readonly folder: string
  /** Bytes of blocks; those of a node after it has collected its garbage. */
  blockBytes(): Promise<number>
  /** Of the file or the repository. */
  sizeBytes(): Promise<number>
  dispose(): Promise<void>
}

export async function emptyPlace(backend: BackendName): Promise<Place> {
  const folder = await mkdtemp(join(process.env['CAIRN_BENCH_DIR'] ?? tmpdir(), 'cairn-scale-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  if (backend === 'lmdb') return lmdbPlace(folder, remove)
  return await (backend === 'kubo' ? kuboPlace(folder, remove) : bucketPlace(folder, remove))
}

function lmdbPlace(folder: string, dispose: () => Promise<void>): Place {
  const dir = join(folder, 'store')
  return {
    store: `lmdb:${dir}`,
    folder,
    blockBytes: () => bytesOfStore(dir),
    sizeBytes: async () => (await stat(join(dir, 'data.mdb'))).size,
    dispose,
  }
}

async function kuboPlace(folder: string, remove: () => Promise<void>): Promise<Place> {
  const node = await startKuboNode({ offline: false })
  return {
    store: `kubo:${node.url}`,
    folder,
    blockBytes: () => bytesOfNode(node.url, { mfs: true }),
    sizeBytes: async () => {
      const answer = await askNode(node.url, 'repo/stat')
      return (JSON.parse(answer) as { RepoSize: number }).RepoSize
    },
    dispose: async () => {
      await node.dispose()
      await remove()
    },
  }
}

let minio: Promise<Minio> | undefined
let buckets = 0

async function bucketPlace(folder: string, remove: () => Promise<void>): Promise<Place> {
  buckets += 1
  const server = await (minio ??= startMinio())
  // The processes that work in it take their keys from there.
  Object.assign(process.env, server.env)
  const store = `s3://${await server.newBucket()}/cairn?endpoint=${server.endpoint}`
  const packBytes = async (): Promise<number> => {
    const backend = await openBackend(store, { create: false })
    const { sizeBytes = 0 } = await backend.status()
    await backend.close()
    return sizeBytes
  }
  return {
    store,
    folder,
    blockBytes: packBytes,
    sizeBytes: packBytes,
    dispose: async () => {
      await remove()
      buckets -= 1
      if (buckets > 0) return
      minio = undefined
      await server.dispose()
    },
  }
}

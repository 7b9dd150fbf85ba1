/** Empty stores: a folder, or a node of its own. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askNode, startKuboNode } from '../../test/helpers/kubo-node.ts'
import { bytesOfNode, bytesOfStore } from '../../test/kills/live-bytes.ts'

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

export async function emptyPlace(backend: 'lmdb' | 'kubo'): Promise<Place> {
  const folder = await mkdtemp(join(process.env['CAIRN_BENCH_DIR'] ?? tmpdir(), 'cairn-scale-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  return backend === 'lmdb' ? lmdbPlace(folder, remove) : kuboPlace(folder, remove)
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

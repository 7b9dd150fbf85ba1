/** The store that a soak works on, round after round. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Backend } from '../../src/store/backend.ts'
import { startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'

export type BackendName = 'lmdb' | 'kubo'

export interface Ground {
  /** As members name it. */
  readonly store: string
  readonly folder: string
  readonly node?: KuboNode
  /** On a node leases of the dead are void by a clock that is so far ahead; on a file they are at once. */
  open(aheadMs: number): Promise<Backend>
  dispose(): Promise<void>
}

export async function openGround(name: BackendName): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-soak-'))
  const ground = name === 'lmdb' ? onFile(folder) : await onNode(folder)
  const backend = await (name === 'lmdb'
    ? openLmdb({ dir: join(folder, 'store'), create: true })
    : ground.open(0))
  await new Cairn(backend).init('main', { chunkSize: 64, chainLimit: 200 })
  await backend.close()
  return ground
}

const remove = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true })

function onFile(folder: string): Ground {
  const dir = join(folder, 'store')
  const dispose = (): Promise<void> => remove(folder)
  return { store: `lmdb:${dir}`, folder, open: () => openLmdb({ dir }), dispose }
}

async function onNode(folder: string): Promise<Ground> {
  const node = await startKuboNode({ offline: false })
  return {
    store: `kubo:${node.url}`,
    folder,
    node,
    open: (aheadMs) => openKubo({ url: node.url, now: () => Date.now() + aheadMs }),
    dispose: async () => {
      await node.dispose()
      await remove(folder)
    },
  }
}

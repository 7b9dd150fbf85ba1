/** Stores that kills happen on: each kill gets one of its own, filled in the same way. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import type { Backend } from '../../src/store/backend.ts'
import { startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { bytesOfNode, bytesOfStore } from './live-bytes.ts'

/** A store, and a folder beside it. */
export interface Ground {
  /** As the worker is told. */
  readonly store: string
  readonly folder: string
  readonly node?: KuboNode
  /** Leases of the dead are void: at once, or by a clock that is two hours ahead. */
  open(): Promise<Backend>
  /** Bytes of the blocks that a dataset needs or once needed; what is free on a node is collected first. */
  liveBytes(): Promise<number>
  dispose(): Promise<void>
}

export type Fill<T> = (backend: Backend) => Promise<T>

export interface Grounds<T> {
  /** A new store, filled, and what `fill` said of it. */
  make(): Promise<{ ground: Ground; filled: T }>
  dispose(): Promise<void>
}

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'cairn-kills-'))
const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true })

/** Filled once and copied. */
export async function lmdbGrounds<T>(fill: Fill<T>): Promise<Grounds<T>> {
  const template = await newFolder()
  const backend = await openLmdb({ dir: join(template, 'store'), create: true })
  const filled = await fill(backend)
  await backend.close()
  const make = async (): Promise<{ ground: Ground; filled: T }> => {
    const folder = await newFolder()
    const dir = join(folder, 'store')
    await cp(join(template, 'store'), dir, { recursive: true })
    const ground: Ground = {
      store: `lmdb:${dir}`,
      folder,
      open: () => openLmdb({ dir }),
      liveBytes: () => bytesOfStore(dir),
      dispose: () => remove(folder),
    }
    return { ground, filled }
  }
  return { make, dispose: () => remove(template) }
}

const AHEAD_MS = 2 * 3_600_000

/** A node for each. */
export function kuboGrounds<T>(fill: Fill<T>): Grounds<T> {
  const make = async (): Promise<{ ground: Ground; filled: T }> => {
    const node = await startKuboNode({ offline: false })
    const folder = await newFolder()
    const dispose = async (): Promise<void> => {
      await node.dispose()
      await remove(folder)
    }
    try {
      const backend = await openKubo({ url: node.url })
      const filled = await fill(backend)
      await backend.close()
      const ground: Ground = {
        store: `kubo:${node.url}`,
        folder,
        node,
        open: () => openKubo({ url: node.url, now: () => Date.now() + AHEAD_MS }),
        liveBytes: () => bytesOfNode(node.url, { mfs: false }),
        dispose,
      }
      return { ground, filled }
    } catch (error) {
      await dispose()
      throw error
    }
  }
  return { make, dispose: () => Promise.resolve() }
}

/** Stores that have lost or changed blocks, and the blocks of a dataset by what they are. */
import { cidKey, type Block, type CidBytes } from '../../src/model/cid.ts'
import { decodeSnapshot } from '../../src/model/snapshot.ts'
import { branchOf, decodeNode, isLeaf } from '../../src/model/node.ts'
import { decodeChainBlock } from '../../src/model/chain-block.ts'
import type { Backend } from '../../src/store/backend.ts'
import { newestCommit } from './engine.ts'
import { wrapBackend } from './counting-backend.ts'

/** A copy with one bit changed: the `place`-th byte, the last one unless given. */
export function flipped(bytes: Uint8Array, place: number = bytes.length - 1): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[place] = (copy[place] ?? 0) ^ 1
  return copy
}

export interface DamagedBackend extends Backend {
  /** From now on the store lacks this block. */
  lose(cid: CidBytes | undefined): void
  /** From now on the store gives other bytes for this block. */
  flip(cid: CidBytes | undefined, place?: number): void
  /** From now on the store is sound again. */
  mend(): void
}

export function damagedBackend(inner: Backend): DamagedBackend {
  const lost = new Set<string>()
  const changed = new Map<string, number | undefined>()
  const named = (cid: CidBytes | undefined): string => {
    if (cid === undefined) throw new Error('there is no such block to damage')
    return cidKey(cid)
  }
  // As a store that lacks a block takes it again; over one that it has it writes nothing.
  const written = (blocks: readonly Block[] = []): void => {
    for (const { cid } of blocks) lost.delete(cidKey(cid))
  }
  const wrapped = wrapBackend(inner, {
    stage: async (dataset, label, options) => {
      const staging = await inner.stage(dataset, label, options)
      return {
        ...staging, // by which the store knows it again
        put: async (blocks, callOptions) => {
          await staging.put(blocks, callOptions)
          written(blocks)
        },
        flush: (callOptions) => staging.flush(callOptions),
        end: (outcome) => staging.end(outcome),
      }
    },
    commit: async (request, options) => {
      const outcome = await inner.commit(request, options)
      if (outcome === 'committed') written([...request.blocks, ...(request.content ?? [])])
      return outcome
    },
    heal: async (blocks, options) => {
      await inner.heal(blocks, options)
      for (const { cid } of blocks) {
        lost.delete(cidKey(cid))
        changed.delete(cidKey(cid))
      }
    },
    getBlocks: async (cids, options) => {
      const blocks = await inner.getBlocks(cids, options)
      return blocks.map((bytes, i) => {
        const key = cidKey(cids[i] ?? new Uint8Array())
        if (bytes === undefined || lost.has(key)) return undefined
        return changed.has(key) ? flipped(bytes, changed.get(key)) : bytes
      })
    },
    hasBlocks: async (cids, options) => {
      const present = await inner.hasBlocks(cids, options)
      return present.map((there, i) => there && !lost.has(cidKey(cids[i] ?? new Uint8Array())))
    },
  })
  return {
    ...wrapped,
    lose: (cid) => void lost.add(named(cid)),
    flip: (cid, place) => void changed.set(named(cid), place),
    mend: () => {
      lost.clear()
      changed.clear()
    },
  }
}

export interface DatasetBlocks {
  readonly header: CidBytes
  readonly root: CidBytes
  readonly branches: readonly CidBytes[]
  readonly leaves: readonly CidBytes[]
  /** Oldest first. */
  readonly chain: readonly CidBytes[]
  readonly kept: CidBytes
}

/** The blocks that the newest commit of `main` reaches. */
export async function blocksOf(backend: Backend): Promise<DatasetBlocks> {
  const commit = await newestCommit(backend)
  const read = async (cid: CidBytes): Promise<Uint8Array> => {
    const [bytes] = await backend.getBlocks([cid])
    if (bytes === undefined) throw new Error('a block is missing')
    return bytes
  }
  const { root } = decodeSnapshot(await read(commit.snapshot))
  const branches: CidBytes[] = []
  const leaves: CidBytes[] = []
  const visit = async (cid: CidBytes): Promise<void> => {
    const node = decodeNode(await read(cid))
    if (isLeaf(node)) {
      leaves.push(cid)
      return
    }
    branches.push(cid)
    for (const child of branchOf(node).children) await visit(child.cid)
  }
  await visit(root)
  const chain: CidBytes[] = []
  let at = commit.head
  while (at !== null && cidKey(at) !== (commit.base === null ? '' : cidKey(commit.base))) {
    chain.unshift(at)
    at = decodeChainBlock(await read(at)).prev
  }
  return { header: commit.snapshot, root, branches, leaves, chain, kept: commit.kept }
}

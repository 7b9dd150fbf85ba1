/**
 * What lies between a base snapshot and another one: the nodes of the base's tree, which a delta
 * leaves out, and the tips that were changed since, whose content it carries.
 */
import { cidKey, DIGEST_BYTES, type CidBytes } from '../model/cid.ts'
import { isLeaf, type Child } from '../model/node.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import { diffTrees } from '../tree/diff.ts'
import type { NodeStore } from '../tree/node-store.ts'
import { DigestMap } from '../util/digest-map.ts'

export interface Delta {
  hasNode(cid: CidBytes): boolean
  hasChangedTip(tip: CidBytes): boolean
  close(): void
}

interface DeltaOptions {
  readonly signal?: AbortSignal | undefined
  /** The tips that the changed entries had before, many at a time. */
  readonly onOldTips?: ((tips: readonly CidBytes[]) => Promise<void>) | undefined
}

const BATCH = 256
export async function deltaBetween(
  nodes: NodeStore,
  base: SnapshotHeader,
  header: SnapshotHeader,
  { signal, onOldTips }: DeltaOptions,
): Promise<Delta> {
  const inBase = new Set<string>()
  await collectNodes(nodes, base.root, inBase, signal)
  const changed = new DigestMap()
  try {
    let old: CidBytes[] = []
    for await (const { before, after } of diffTrees(nodes, base.root, header.root, signal)) {
      if (after !== undefined && after.tip !== null) changed.set(tableKey(after.tip), 0)
      if (before !== undefined && before.tip !== null) old.push(before.tip)
      if (old.length < BATCH) continue
      await onOldTips?.(old)
      old = []
    }
    await onOldTips?.(old)
  } catch (error) {
    changed.close()
    throw error
  }
  return {
    hasNode: (cid) => inBase.has(cidKey(cid)),
    hasChangedTip: (tip) => changed.has(tableKey(tip)),
    close: () => changed.close(),
  }
}

/** All nodes of a tree; its leaves are not read. */
export async function collectNodes(
  nodes: NodeStore,
  root: CidBytes,
  into: Set<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const top = await nodes.readRoot(root, signal)
  into.add(cidKey(root))
  const open = async (children: readonly Child[], level: number): Promise<void> => {
    for (const child of children) {
      into.add(child.cidKey)
      if (level === 0) continue
      const node = await nodes.readChild(child, false, signal)
      if (!isLeaf(node)) await open(node.children, node.level - 1)
    }
  }
  if (!isLeaf(top.node)) await open(top.node.children, top.node.level - 1)
}

/** An identity CID has no digest of the length a table wants; its last bytes tell as much, padded. */
function tableKey(cid: CidBytes): Uint8Array {
  if (cid.length >= DIGEST_BYTES) return cid.subarray(cid.length - DIGEST_BYTES)
  const padded = new Uint8Array(DIGEST_BYTES)
  padded.set(cid)
  return padded
}

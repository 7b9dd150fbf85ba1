/**
 * What was at hand before a build is at hand after it. Otherwise the commit that takes up the new tree, and
 * the first appends and reads behind it, would wait until one leaf after the other is read and proved.
 */
import type { NodeSink } from '../tree/merge.ts'
import type { NodeStore } from '../tree/node-store.ts'
import type { Tree } from '../tree/tree.ts'

/** Until the commit the old leaves are asked for, too. */
const PART_OF_CACHE = 0.25

/** Passes nodes on to `sink`, and keeps the leaves that stand where one of the tree before is at hand. */
export function keepingHot(nodes: NodeStore, before: Tree, sink: NodeSink): NodeSink {
  let room = nodes.cacheBytes * PART_OF_CACHE
  return {
    put: (node) => {
      const { child, block, level } = node
      if (level === 0 && block.length <= room && before.isAtHand(child.last)) {
        room -= block.length
        nodes.keep(child, block)
      }
      return sink.put(node)
    },
  }
}

/** Child records as runs, so that every level of the tree is edited in the same way. */
import { CHILD_OVERHEAD, readChildRecord, writeChild, type Child } from '../model/node.ts'
import type { Run } from '../model/run.ts'

export function childRun(children: readonly Child[]): Run {
  let room = 0
  for (const child of children) room += CHILD_OVERHEAD + child.last.length
  const bytes = Buffer.allocUnsafe(room)
  const starts = new Uint32Array(children.length + 1)
  let at = 0
  for (const [i, child] of children.entries()) {
    starts[i] = at
    at = writeChild(bytes, at, child)
  }
  starts[children.length] = at
  return { bytes, starts, count: children.length, shared: 0, plain: false, exp: null }
}

export function childAt(run: Run, index: number): Child {
  return readChildRecord(run.bytes, run.starts[index] ?? 0)
}

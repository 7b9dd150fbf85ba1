/** Trees that no one could have built: reading them ends in an error, never in a wrong answer or a crash. */
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { isCairnError } from '../../src/errors.ts'
import { cborCidOf, cidKey } from '../../src/model/cid.ts'
import type { Entry } from '../../src/model/entry.ts'
import { NodeStore } from '../../src/tree/node-store.ts'
import { diffTrees } from '../../src/tree/diff.ts'
import { Tree } from '../../src/tree/tree.ts'
import { entry } from '../helpers/entries.ts'
import { leafValue } from '../helpers/library.ts'
import { BlockMap, merge, readAll } from '../helpers/tree.ts'

interface Forged {
  readonly cid: Uint8Array
  readonly child: unknown[]
}

class Forger {
  readonly store: BlockMap = new BlockMap()

  #put(value: unknown): { cid: Uint8Array; size: number } {
    const bytes = Buffer.from(dagCbor.encode(value))
    const cid = cborCidOf(bytes)
    this.store.blocks.set(cidKey(cid), bytes)
    return { cid, size: bytes.length }
  }

  leaf(ids: readonly string[]): Forged {
    const entries: Entry[] = ids.map((pi) => entry(pi))
    const { cid, size } = this.#put(leafValue(entries, 'linked'))
    return { cid, child: [ids.at(-1), ids.length, ids.length, size, null, CID.decode(cid)] }
  }

  branch(level: number, children: readonly unknown[][]): Forged {
    const { cid, size } = this.#put({ schema: 'cairn/node@v1', level, children })
    const sum = (field: number): number =>
      children.reduce((all, child) => all + Number(child[field]), 0)
    return {
      cid,
      child: [children.at(-1)?.[0], sum(1), sum(2), sum(3) + size, null, CID.decode(cid)],
    }
  }
}

/** How each way of reading the whole tree ends: true for an invalid block. */
async function refusals({ store }: Forger, root: Uint8Array): Promise<boolean[]> {
  const nodes = (): NodeStore => new NodeStore(store, 1 << 20)
  const { root: child } = await Tree.open(nodes(), root)
  const base = {
    root: child,
    leafCount: 2,
    chunkSize: 64,
    stats: { leavesAdded: 0, leavesRemoved: 0, nodesWritten: 0 },
  }
  const other = await merge([entry('other')], { store, chunkSize: 64 })
  const ways: (() => Promise<unknown>)[] = [
    () => readAll(store, root),
    () => readAll(store, root, {}, true),
    () =>
      merge(
        [entry('a'), entry('c'), entry('zz')].map((one) => ({ ...one, ver: 2 })),
        { store, base },
      ),
    () => drain(diffTrees(nodes(), other.root.cid, root)),
  ]
  const ends: boolean[] = []
  for (const way of ways) {
    ends.push(
      await way().then(
        () => false,
        (error: unknown) => isCairnError(error, 'invalid_block'),
      ),
    )
  }
  return ends
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream) continue
}

const all = [true, true, true, true]

test('a tree made by hand reads well when it is right', async () => {
  const forger = new Forger()
  const { cid } = forger.branch(1, [forger.leaf(['a', 'b']).child, forger.leaf(['c', 'd']).child])
  expect((await readAll(forger.store, cid)).map(({ pi }) => pi)).toEqual(['a', 'b', 'c', 'd'])
})

test('a child that is not as its parent says is refused, whatever field lies', async () => {
  const lies: [number, unknown][] = [
    [0, 'bb'],
    [1, 3],
    [2, 1],
    [3, 1],
    [4, 5],
  ]
  for (const [field, lie] of lies) {
    const forger = new Forger()
    const first = forger.leaf(['a', 'b']).child.with(field, lie)
    const { cid } = forger.branch(1, [first, forger.leaf(['c', 'd']).child])
    expect([field, await refusals(forger, cid)]).toEqual([field, all])
  }
})

test('a node that stands on another level than it says is refused', async () => {
  const forger = new Forger()
  const [a, c] = [forger.leaf(['a', 'b']), forger.leaf(['c', 'd'])]
  const level1 = forger.branch(1, [a.child, c.child])
  const others = forger.branch(1, [forger.leaf(['x']).child, forger.leaf(['y']).child])
  const roots = [
    forger.branch(2, [a.child, c.child]),
    forger.branch(1, [level1.child, others.child]),
    forger.branch(3, [level1.child, others.child]),
    forger.branch(2, [level1.child, forger.leaf(['x', 'y']).child]),
    forger.branch(23, [level1.child, others.child]),
  ]
  for (const [n, { cid }] of roots.entries()) {
    const ends = await refusals(forger, cid)
    // A diff goes by the nodes themselves and may come to an answer.
    expect([n, ends.slice(0, 3)]).toEqual([n, [true, true, true]])
  }
})

test('a block that is missing or of another kind is refused, and so are other bytes for its CID', async () => {
  const forger = new Forger()
  const [a, c] = [forger.leaf(['a', 'b']), forger.leaf(['c', 'd'])]
  const { cid } = forger.branch(1, [a.child, c.child])
  const read = async (): Promise<string> =>
    readAll(forger.store, cid).then(
      () => 'read',
      (error: unknown) => (isCairnError(error) ? error.code : 'crash'),
    )
  forger.store.blocks.set(cidKey(c.cid), Buffer.from('other bytes'))
  expect(await read()).toBe('block_mismatch')
  forger.store.blocks.delete(cidKey(c.cid))
  expect(await read()).toBe('block_missing')
})

/** The tree of `@atproto/repo` (MST) over its own store in memory, and its CAR reader and writer. */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { MemoryBlockstore, MST, readCarStream, writeCarStream } from '@atproto/repo'
import { CID } from 'multiformats/cid'
import { writeDurably } from '../files.mjs'

export const version = async () =>
  JSON.parse(
    await readFile(new URL('../node_modules/@atproto/repo/package.json', import.meta.url), 'utf8'),
  ).version

const keyOf = (id) => `bench.entity/${id}`

export async function openTree() {
  const store = new MemoryBlockstore()
  let tree = await MST.create(store)
  /** Hashes what changed; the store has it before the tree is used again. */
  const persist = async () => {
    const { blocks, root } = await tree.getUnstoredBlocks()
    await store.putMany(blocks)
    return root
  }
  return {
    async load(all) {
      for (const { id, tip } of all) tree = await tree.add(keyOf(id), CID.decode(tip))
      await persist()
    },
    async update(some) {
      for (const { id, tip } of some) tree = await tree.update(keyOf(id), CID.decode(tip))
    },
    root: persist,
    get: async (id) => (await tree.get(keyOf(id)))?.bytes,
    scan: () => countLeaves(tree),
    async save(path) {
      const root = await persist()
      await writeDurably(path, writeCarStream(root, nodesOf(store, root)))
      return {}
    },
    restore,
    close: () => {},
  }
}

/** Without the records, which lie elsewhere: the library's own stream would miss them. */
async function* nodesOf(store, root) {
  for await (const node of MST.load(store, root).walkReachable()) {
    if (!node.isTree()) continue
    const cid = await node.getPointer()
    yield { cid, bytes: await store.getBytes(cid) }
  }
}

async function countLeaves(tree) {
  let count = 0
  for await (const leaf of tree.walkLeavesFrom('')) count += leaf.isLeaf() ? 1 : 0
  return count
}

/** Every block is hashed, and the whole tree walked. */
async function restore(path) {
  const { roots, blocks } = await readCarStream(createReadStream(path, { highWaterMark: 1 << 20 }))
  const store = new MemoryBlockstore()
  for await (const { cid, bytes } of blocks) await store.putBlock(cid, bytes)
  return countLeaves(MST.load(store, roots[0]))
}

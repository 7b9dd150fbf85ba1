/** How many bytes of blocks a store holds, counted without Cairn's own accounts. */
import { CID } from 'multiformats/cid'
import { openLmdbFiles } from '../../src/backend/lmdb/tables.ts'
import { askNode } from '../helpers/kubo-node.ts'

/** Of an embedded store that is closed. */
export async function bytesOfStore(dir: string): Promise<number> {
  const env = openLmdbFiles(dir)
  try {
    const table = { name: 'blocks', encoding: 'binary', keyEncoding: 'binary' } as const
    let bytes = 0
    for (const { value } of env.openDB<Uint8Array, Uint8Array>(table).getRange())
      bytes += value.length
    return bytes
  } finally {
    await env.close()
  }
}

const AT_ONCE = 32

/** Of a node, once it has collected its garbage; of the blocks of MFS only with `mfs`. */
export async function bytesOfNode(url: string, { mfs }: { mfs: boolean }): Promise<number> {
  await askNode(url, 'repo/gc')
  const passedOver = mfs ? new Set<string>() : await digestsOfMfs(url)
  const all = await refs(url, 'refs/local', {})
  const cids = all.filter((cid) => !passedOver.has(digestOf(cid)))
  let bytes = 0
  for (let at = 0; at < cids.length; at += AT_ONCE) {
    const sizes = cids.slice(at, at + AT_ONCE).map((arg) => sizeOf(url, arg))
    for (const size of await Promise.all(sizes)) bytes += size
  }
  return bytes
}

async function digestsOfMfs(url: string): Promise<Set<string>> {
  const { Hash } = JSON.parse(await askNode(url, 'files/stat', { arg: '/' })) as { Hash: string }
  const under = await refs(url, 'refs', { arg: Hash, recursive: 'true', unique: 'true' })
  return new Set([Hash, ...under].map(digestOf))
}

async function refs(
  url: string,
  command: string,
  query: Record<string, string>,
): Promise<string[]> {
  const lines = (await askNode(url, command, query)).split('\n').filter((line) => line !== '')
  return lines.map((line) => (JSON.parse(line) as { Ref: string }).Ref)
}

async function sizeOf(url: string, arg: string): Promise<number> {
  const answer = await askNode(url, 'block/stat', { arg, offline: 'true' })
  return (JSON.parse(answer) as { Size: number }).Size
}

/** `refs/local` names every block as raw, whatever it is. */
const digestOf = (cid: string): string =>
  Buffer.from(CID.parse(cid).multihash.bytes).toString('hex')

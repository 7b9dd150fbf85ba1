/** Damage to the files of a Kubo node's default block store (flatfs), as a bad disk would do it. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import type { CidBytes } from '../../src/model/cid.ts'
import { askNode } from './kubo-node.ts'

/** Files lie in folders named by the next-to-last two letters of their names. */
async function blockFile(url: string, cid: CidBytes): Promise<string> {
  const { RepoPath: home } = JSON.parse(await askNode(url, 'repo/stat')) as {
    RepoPath: string
  }
  const name = base32upper.encode(CID.decode(cid).multihash.bytes).slice(1)
  return join(home, 'blocks', name.slice(-3, -1), `${name}.data`)
}

export async function loseOnNode(url: string, cid: CidBytes): Promise<void> {
  await rm(await blockFile(url, cid))
}

export async function corruptOnNode(url: string, cid: CidBytes): Promise<void> {
  const path = await blockFile(url, cid)
  const bytes = await readFile(path)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff
  await writeFile(path, bytes)
}

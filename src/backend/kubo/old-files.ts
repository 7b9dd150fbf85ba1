/**
 * A node of the system that Cairn replaces, for reading only: its blocks and its files in MFS. Unlike a
 * store it may run any version of Kubo, since nothing is written to it.
 */
import type { CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { nodeAddress } from './address.ts'
import { getBlocks, hasBlocks } from './blocks.ts'
import { createClient } from './client.ts'
import { createMfs } from './mfs.ts'
import { createRpc } from './rpc.ts'

export interface OldNodeOptions {
  readonly url: string
  /** `bearer:TOKEN` or `basic:USER:PASSWORD`. */
  readonly token?: string | undefined
  /** For one read (30 s). */
  readonly deadlineMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface OldNode {
  read(path: string): Promise<Uint8Array | undefined>
  list(path: string): Promise<string[] | undefined>
  getBlocks(cids: readonly CidBytes[], options?: CallOptions): Promise<(Uint8Array | undefined)[]>
  hasBlocks(cids: readonly CidBytes[], options?: CallOptions): Promise<boolean[]>
  close(): void
}

export async function openOldFiles(options: OldNodeOptions): Promise<OldNode> {
  const { signal } = options
  const { url, authorization } = nodeAddress(options.url, options.token)
  const readMs = options.deadlineMs ?? 30_000
  const client = createClient(createRpc(url, authorization), {
    readMs,
    writeMs: readMs,
    retryMs: 5_000,
  })
  const mfs = createMfs(client)
  try {
    // Whether it answers at all is told before anything is looked for.
    await client.read('version', {}, { signal })
  } catch (error) {
    client.close()
    throw error
  }
  return {
    read: (path) => mfs.read(path, { signal }),
    list: (path) => mfs.list(path, { signal }),
    getBlocks: (cids, call) => getBlocks(client, cids, call),
    hasBlocks: (cids, call) => hasBlocks(client, cids, call),
    close: () => client.close(),
  }
}

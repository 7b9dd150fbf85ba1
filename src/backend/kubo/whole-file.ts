/**
 * Small files that are there whole or not at all: their bytes go onto the node first, and then one
 * `files cp` puts them in place. `files write` takes them into a file that is open and there already:
 * another change beside it can leave that empty or as it was, and of a sender that dies it keeps what came.
 */
import { posix } from 'node:path'
import { CODEC_RAW, printCid, rawCidOf } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { KuboClient } from './client.ts'
import { means } from './refusals.ts'

/** The longest digest of an identity hash that IPFS takes. */
const MAX_INLINE_BYTES = 128
/** Each may be refused for another reason, once or twice. */
const MOST_TRIES = 8

/** What it needs of `Mfs`, which says what each does. */
interface Placing {
  makeDirectory(path: string, options?: CallOptions): Promise<void>
  link(cid: string, path: string, options?: CallOptions): Promise<void>
  flush(path: string, options?: CallOptions): Promise<void>
}

/** See `Mfs.put`. */
export async function putWhole(
  client: KuboClient,
  mfs: Placing,
  path: string,
  bytes: Uint8Array,
  options?: CallOptions,
): Promise<void> {
  const inline = inlineCid(bytes)
  if (inline !== undefined) return place(mfs, printCid(inline), path, undefined, options)
  const cid = printCid(rawCidOf(bytes))
  const send = async (pin: boolean): Promise<void> => {
    const query = { 'cid-codec': 'raw', mhtype: 'sha2-256', pin }
    await client.write('block/put', query, [{ name: 'block', chunks: [bytes] }], options)
  }
  let pinned = false
  await send(false)
  try {
    const sendAgain = (): Promise<void> => {
      pinned = true
      return send(true)
    }
    await place(mfs, cid, path, sendAgain, options)
  } finally {
    // Where it fails, or a death comes before it, a pin of one small block is left.
    if (pinned) await client.write('pin/rm', { arg: cid, recursive: true }).catch(() => {})
  }
}

/** `sendAgain`: where a collection took the block in between. */
async function place(
  mfs: Placing,
  cid: string,
  path: string,
  sendAgain: (() => Promise<void>) | undefined,
  options?: CallOptions,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await mfs.link(cid, path, options)
    } catch (error) {
      // By an earlier try, which may have ended before it was on disk.
      if (means(error, 'nameTaken') && (await isFlushed(mfs, path, options))) return
      if (tries === MOST_TRIES) throw error
      if (means(error, 'directoryMissing')) await mfs.makeDirectory(posix.dirname(path), options)
      else if (means(error, 'blockMissing') && sendAgain !== undefined) await sendAgain()
      else if (!means(error, 'putAside') && !means(error, 'nameTaken')) throw error
    }
  }
}

/** Not: what was there has been put aside by another change. */
async function isFlushed(mfs: Placing, path: string, options?: CallOptions): Promise<boolean> {
  try {
    await mfs.flush(path, options)
    return true
  } catch (error) {
    if (means(error, 'pathMissing')) return false
    throw error
  }
}

/** A CID that holds its own bytes: such a file is made in one call, and without a block. */
function inlineCid(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length > MAX_INLINE_BYTES) return undefined
  const length = bytes.length < 0x80 ? [bytes.length] : [0x80, 1]
  return Uint8Array.from([1, CODEC_RAW, 0, ...length, ...bytes])
}

/** Reading content back: a value for dag-cbor and dag-json, a stream of bytes for raw and UnixFS. */
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'
import { CairnError } from '../errors.ts'
import { CODEC_DAG_PB, CODEC_RAW, cidParts, printCid, type CidBytes } from '../model/cid.ts'
import { readProvedBlock, type BlockReader } from '../store/proved.ts'
import { decodeContent } from './links.ts'

export type Content =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'bytes'; readonly bytes: AsyncIterable<Uint8Array> }

export async function readContent(store: BlockReader, tip: CidBytes, signal?: AbortSignal): Promise<Content> {
  const { codec } = cidParts(tip)
  if (codec === CODEC_DAG_PB) return { kind: 'bytes', bytes: await fileBytes(store, tip, signal) }
  const bytes = await readBlock(store, tip, signal)
  if (codec === CODEC_RAW) return { kind: 'bytes', bytes: once(bytes) }
  return { kind: 'value', value: decodeContent(tip, codec, bytes) }
}

async function readBlock(store: BlockReader, cid: CidBytes, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { hash, digest } = cidParts(cid)
  return hash === 'identity' ? digest : readProvedBlock(store, cid, 'the content block', { signal })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function fileBytes(
  store: BlockReader,
  tip: CidBytes,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const blocks = {
    async *get(cid: CID): AsyncGenerator<Uint8Array> {
      yield await readBlock(store, cid.bytes, signal)
    },
  }
  const file = await exporter(CID.decode(tip), blocks, signal === undefined ? {} : { signal })
  if (file.type === 'file' || file.type === 'raw' || file.type === 'identity') return asyncOf(file.content())
  throw new CairnError('invalid_content', `The content ${printCid(tip)} is a UnixFS ${file.type}, not a file.`, {
    hint: 'Read it with an IPFS tool, such as `ipfs ls`.',
  })
}

async function* asyncOf(parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* parts
}

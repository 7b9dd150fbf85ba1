/** Reading content back: a value for dag-cbor and dag-json, a stream of bytes for raw and UnixFS. */
import type { UnixFSFile } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'
import { CairnError, toCairnError } from '../errors.ts'
import { CODEC_DAG_PB, CODEC_RAW, cidParts, printCid, type CidBytes } from '../model/cid.ts'
import { readProvedBlock, type BlockReader } from '../store/proved.ts'
import { decodeContent } from './links.ts'

/** Of a file so much is in memory at a time: the library reads on, however slowly its bytes are taken. */
const WINDOW_BYTES = 4 << 20

export type Content =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'bytes'; readonly bytes: AsyncIterable<Uint8Array> }

export async function readContent(
  store: BlockReader,
  tip: CidBytes,
  signal?: AbortSignal,
): Promise<Content> {
  const { codec } = cidParts(tip)
  if (codec === CODEC_DAG_PB) return { kind: 'bytes', bytes: await fileBytes(store, tip, signal) }
  const bytes = await readBlock(store, tip, signal)
  if (codec === CODEC_RAW) return { kind: 'bytes', bytes: once(bytes) }
  return { kind: 'value', value: decodeContent(tip, codec, bytes) }
}

async function readBlock(
  store: BlockReader,
  cid: CidBytes,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
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
  const options = signal === undefined ? {} : { signal }
  // Loaded when it is needed, as in encode.ts.
  const { exporter } = await import('ipfs-unixfs-exporter')
  const file = await exporter(CID.decode(tip), blocks, options).catch((error: unknown) => {
    throw notAFile(tip, error)
  })
  if (file.type === 'file') return parts(tip, windowsOf(file, options))
  if (file.type === 'raw' || file.type === 'identity') return parts(tip, file.content())
  throw new CairnError(
    'invalid_content',
    `The content ${printCid(tip)} is a UnixFS ${file.type}, not a file.`,
    {
      hint: 'Read it with an IPFS tool, such as `ipfs ls`.',
    },
  )
}

async function* windowsOf(
  { size, content }: Pick<UnixFSFile, 'size' | 'content'>,
  options: { readonly signal?: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const end = Number(size)
  for (let offset = 0; offset < end; offset += WINDOW_BYTES) {
    yield* content({ ...options, offset, length: Math.min(WINDOW_BYTES, end - offset) })
  }
}

async function* parts(
  tip: CidBytes,
  bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes
  } catch (error) {
    throw notAFile(tip, error)
  }
}

/** What the UnixFS reader says of blocks that are no file, as an error of ours; ours stay what they are. */
function notAFile(tip: CidBytes, cause: unknown): CairnError {
  const error = toCairnError(cause)
  if (error.code !== 'internal') return error
  return new CairnError(
    'invalid_content',
    `The content ${printCid(tip)} is not a file: ${error.message}.`,
    {
      hint: 'It is dag-pb of another kind, or damaged; look at it with `ipfs dag get`.',
      cid: printCid(tip),
      cause,
    },
  )
}

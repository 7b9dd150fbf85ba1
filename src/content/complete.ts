/**
 * Is a content DAG whole? A linked tip is appended only if every block under it is in the store, so
 * that what a snapshot links to is what a restore needs (promise 4).
 */
import { CairnError, throwIfAborted } from '../errors.ts'
import { CODEC_RAW, cidKey, cidParts, printCid, type Block, type CidBytes } from '../model/cid.ts'
import type { Backend } from '../store/backend.ts'
import { getProvedBlocks } from '../store/proved.ts'
import { linksOf } from './links.ts'

/** Larger blocks do not travel between IPFS nodes. */
const MAX_CONTENT_BYTES = 2 << 20

function tooLarge(cid: CidBytes, size: number): CairnError {
  return new CairnError('too_large', `The content block ${printCid(cid)} has ${size} bytes.`, {
    hint: `A block may have ${MAX_CONTENT_BYTES} bytes; add the file again with smaller chunks.`,
    cid: printCid(cid),
  })
}

/** Blocks that are read at a time. */
const WIDTH = 64

/**
 * The CIDs under `roots` that neither the store nor `given` has; empty when all is there. Reads the
 * blocks that can link, asks only for the presence of raw ones.
 */
async function findMissing(
  store: Pick<Backend, 'getBlocks' | 'hasBlocks'>,
  roots: readonly CidBytes[],
  given: readonly Block[] = [],
  signal?: AbortSignal,
): Promise<CidBytes[]> {
  const at = new Map(given.map(({ cid, bytes }) => [cidKey(cid), bytes]))
  const seen = new Set<string>()
  const missing: CidBytes[] = []
  const ahead: CidBytes[] = []
  const visit = (cid: CidBytes): void => {
    const key = cidKey(cid)
    if (seen.has(key)) return
    seen.add(key)
    const bytes = at.get(key)
    if (bytes === undefined && cidParts(cid).hash === 'sha2-256') ahead.push(cid)
    else for (const link of linksOf(cid, bytes ?? cidParts(cid).digest)) visit(link)
  }
  for (const root of roots) visit(root)
  while (ahead.length > 0) {
    throwIfAborted(signal)
    const some = ahead.splice(-WIDTH)
    const raw = some.filter((cid) => cidParts(cid).codec === CODEC_RAW)
    const linking = some.filter((cid) => cidParts(cid).codec !== CODEC_RAW)
    const present = raw.length === 0 ? [] : await store.hasBlocks(raw, { signal, rely: true })
    missing.push(...raw.filter((_, i) => present[i] !== true))
    const blocks =
      linking.length === 0 ? [] : await getProvedBlocks(store, linking, { signal, rely: true })
    for (const [i, cid] of linking.entries()) {
      const bytes = blocks[i]
      if (bytes === undefined) missing.push(cid)
      else if (bytes.length > MAX_CONTENT_BYTES) throw tooLarge(cid, bytes.length)
      else for (const link of linksOf(cid, bytes)) visit(link)
    }
  }
  return missing
}

/** Content that is not whole is `content_missing`. */
export async function refuseMissing(
  store: Pick<Backend, 'getBlocks' | 'hasBlocks'>,
  tips: readonly CidBytes[],
  signal: AbortSignal | undefined,
  given?: readonly Block[],
): Promise<void> {
  const [missing] = await findMissing(store, tips, given, signal)
  if (missing === undefined) return
  throw new CairnError(
    'content_missing',
    `The store lacks the content block ${printCid(missing)}.`,
    {
      hint: 'Put the content first (`cairn put`), or make the dataset with `--content external`.',
      cid: printCid(missing),
    },
  )
}

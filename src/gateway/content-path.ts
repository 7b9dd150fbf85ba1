/** Paths as addresses name them: a CID, and names and indexes below it. Pure. */
import { CairnError, toCairnError } from '../errors.ts'
import { parseCid, type CidBytes } from '../model/cid.ts'

export interface ContentPath {
  readonly root: CidBytes
  readonly segments: readonly string[]
  /** As it was asked for. */
  readonly text: string
}

/** Each is a block that has to be read. */
const MAX_SEGMENTS = 100

/**
 * The path of an address that begins with `/ipfs/`, still encoded. What cannot be one is `usage`; a CID that no
 * block here can have is `not_found`.
 */
export function contentPathOf(url: string): ContentPath {
  const text = url.split('?', 1)[0] ?? ''
  const [cid = '', ...rest] = text.split('/').slice(2)
  // A slash too many says nothing; a name is never empty.
  const segments = rest.filter((one) => one !== '').map(decoded)
  if (segments.length > MAX_SEGMENTS) {
    throw new CairnError('usage', `The path has more than ${MAX_SEGMENTS} parts.`, {
      hint: 'Begin at a CID further down.',
    })
  }
  if (segments.some((one) => one === '.' || one === '..')) {
    throw new CairnError('usage', 'A path has no "." or ".." in it.', {
      hint: 'Name the way from the CID down.',
    })
  }
  return { root: rootOf(decoded(cid)), segments, text }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new CairnError('usage', 'The path is not encoded as an address should be.', {
      hint: 'Write a % as %25, and all beyond ASCII as UTF-8 bytes with % before each.',
      cause,
    })
  }
}

function rootOf(text: string): CidBytes {
  try {
    return parseCid(text)
  } catch (thrown) {
    const error = toCairnError(thrown)
    // What could be read but is of another kind is no block of any store.
    if (error.cause === undefined) {
      throw new CairnError('not_found', `Blocks here are of sha2-256. ${error.message}`, {
        hint: 'Ask another gateway for it.',
      })
    }
    throw new CairnError('usage', `"${text.slice(0, 100)}" is no CID that a block here can have.`, {
      hint: 'A CID looks like bafyrei... or Qm...; copy it whole.',
      cause: error,
    })
  }
}

/**
 * Entity tags. What they name is exact (a CID, a version with its CID), so a tag that a proxy has made a
 * weak one on its way is as good as it was.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AppendEntry } from '../../engine/draft.ts'
import { CairnError } from '../../errors.ts'
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { Entry } from '../../model/entry.ts'

export const entityTag = ({ ver, tip }: Pick<Entry, 'ver'> & { readonly tip: CidBytes }): string =>
  `"${ver}-${printCid(tip)}"`

const TAG = /^(?:W\/)?("[\u0021\u0023-\u007e]*")$/

/** The tags of a header, none of them weak. */
function tagsOf(header: string): string[] {
  return header.split(',').map((one) => TAG.exec(one.trim())?.[1] ?? one.trim())
}

/** Sets the tag; true when the client has what it names, and the answer is 304 without a body. */
export function isKnown(request: FastifyRequest, reply: FastifyReply, tag: string): boolean {
  reply.header('etag', tag)
  const given = request.headers['if-none-match']
  return given !== undefined && tagsOf(given).some((one) => one === tag || one === '*')
}

/** Without a body; `null` would be one of JSON. */
export function notModified(reply: FastifyReply): FastifyReply {
  return reply.code(304).send()
}

export type Expectation = Pick<AppendEntry, 'expectVer' | 'expectTip'>

const ENTITY_TAG = /^"(?:([1-9]\d{0,15})-)?([a-zA-Z0-9]{1,100})"$/

/**
 * What `If-Match` and `If-None-Match: *` of a write expect of the entity; `newest` reads it where any
 * version will do. Undefined without such a header.
 */
export async function expectationOf(
  { headers }: FastifyRequest,
  newest: () => Promise<Entry | undefined>,
): Promise<Expectation | undefined> {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers
  if (match !== undefined && noneMatch !== undefined) throw refused('If-Match and If-None-Match')
  if (noneMatch !== undefined) {
    if (noneMatch.trim() !== '*') throw refused('this If-None-Match')
    return { expectTip: null }
  }
  if (match === undefined) return undefined
  if (match.trim() === '*') return anyVersion(await newest())
  const [tag, another] = tagsOf(match)
  const [, ver, cid] = ENTITY_TAG.exec(tag ?? '') ?? []
  if (cid === undefined || another !== undefined) throw refused('this If-Match')
  return { expectTip: cid, ...(ver === undefined ? {} : { expectVer: Number(ver) }) }
}

function anyVersion(entry: Entry | undefined): Expectation {
  if (entry !== undefined) return { expectVer: entry.ver, expectTip: entry.tip }
  throw new CairnError('conflict', 'There is no such entity, and If-Match asks for one.', {
    hint: 'Leave If-Match out to make it.',
    current_ver: 0,
    current_tip: null,
  })
}

function refused(what: string): CairnError {
  return new CairnError('usage', `A write cannot depend on ${what}.`, {
    hint: 'Give one ETag of the entity or of its content in If-Match, or If-None-Match: *.',
  })
}

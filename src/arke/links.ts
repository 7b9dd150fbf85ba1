/**
 * Links of the old system, which come in three shapes: as IPLD Links, as plain maps `{"/": "bafy..."}`
 * (written with `input-codec=json`, so that they link to nothing), and as plain texts.
 */
import type { CID } from 'multiformats/cid'
import { isCairnError } from '../errors.ts'
import { cidParts, linkOf, parseCid, type CidBytes } from '../model/cid.ts'
import { isMap } from './source.ts'

export type OldLink =
  | { readonly cid: CidBytes; readonly linked: boolean }
  /** A CID that Cairn does not take (another hash, too long), or no CID at all. */
  | { readonly unusable: string }

/** Undefined: there is no link (absent, null or empty). */
export function readLink(value: unknown): OldLink | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string') return named(value)
  const cid = linkOf(value)
  if (cid !== undefined)
    return isUsable(cid.bytes) ? { cid: cid.bytes, linked: true } : notUsable(cid)
  if (isMap(value) && typeof value['/'] === 'string' && Object.keys(value).length === 1)
    return named(value['/'])
  return { unusable: 'it is not a link' }
}

function named(text: string): OldLink {
  try {
    return { cid: parseCid(text.trim()), linked: false }
  } catch (error) {
    if (!isCairnError(error, 'invalid_entry')) throw error
    return { unusable: text.slice(0, 100) }
  }
}

/** Whether Cairn takes the CID. */
export function isUsable(cid: Uint8Array): boolean {
  try {
    cidParts(cid)
    return true
  } catch {
    return false
  }
}

const notUsable = (cid: CID): OldLink => ({ unusable: cid.toString().slice(0, 100) })

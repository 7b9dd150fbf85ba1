/**
 * Drafts: what a caller asks to append, and the rule that judges it against the current version of its
 * entity. Pure.
 *
 *   same version, tip and expiry   already there: a retry is safe
 *   lower, or the same version with another tip or expiry   conflict
 *   no version   the next one; `expectVer` / `expectTip` make that safe to retry
 *
 * What has expired counts as absent. An expiry that was defaulted is not compared.
 */
import type { CID } from 'multiformats/cid'
import { CairnError } from '../errors.ts'
import { bytesEqual, cidParts, parseCid, printCid, type CidBytes } from '../model/cid.ts'
import { idOfKey, parseId } from '../model/entity-id.ts'
import { isExpired, parseTime, parseVersion, type Entry } from '../model/entry.ts'

/** A CID in any of the forms that programs hold it in. */
export type CidLike = string | Uint8Array | CID | { readonly bytes: Uint8Array }

export interface AppendEntry {
  readonly pi: string
  /** The content's CID; null deletes. */
  readonly tip: CidLike | null
  /** Not given: the next version. */
  readonly ver?: number | undefined
  /** Milliseconds since 1970; not given: now. */
  readonly ts?: number | undefined
  /** Not given: never, and for a deletion the dataset's time of remembering (30 days). */
  readonly exp?: number | null | undefined
  /** The version the entity must have now; 0: it must not exist. */
  readonly expectVer?: number | undefined
  /** The tip it must have now; null: it must not exist, or be deleted. */
  readonly expectTip?: CidLike | null | undefined
}

export interface Draft {
  readonly key: string
  readonly ver: number | undefined
  readonly tip: CidBytes | null
  /** Whether it must be shown that the tip's content is in the store, and whole. */
  readonly needsProof: boolean
  readonly ts: number | undefined
  readonly exp: number | null | undefined
  readonly expectVer: number | undefined
  readonly expectTip: CidBytes | null | undefined
}

export function parseCidLike(cid: CidLike): CidBytes {
  if (typeof cid === 'string') return parseCid(cid)
  const bytes: unknown =
    cid instanceof Uint8Array ? cid : (cid as { bytes?: unknown } | undefined)?.bytes
  if (!(bytes instanceof Uint8Array)) {
    throw new CairnError('invalid_entry', 'A tip was refused: it is not a CID.', {
      hint: 'Give a CID as text, as bytes or as an object; null deletes the entity.',
    })
  }
  cidParts(bytes)
  return new Uint8Array(bytes)
}

/** A tip that is given by its CID alone needs proof. */
export function draftOf(entry: Omit<AppendEntry, 'tip'>, tip: CidLike | null): Draft {
  const { ver, ts, exp, expectVer, expectTip } = entry
  return {
    key: parseId(entry.pi),
    ver: ver === undefined ? undefined : parseVersion(ver),
    tip: tip === null ? null : parseCidLike(tip),
    needsProof: tip !== null,
    ts: ts === undefined ? undefined : parseTime(ts, 'ts'),
    exp: exp === undefined || exp === null ? exp : parseTime(exp, 'exp'),
    expectVer: expectVer === undefined || expectVer === 0 ? expectVer : parseVersion(expectVer),
    expectTip: expectTip === undefined || expectTip === null ? expectTip : parseCidLike(expectTip),
  }
}

export interface Verdict {
  /** `already`: this very version is there, and nothing needs to be written. */
  readonly status: 'appended' | 'already'
  readonly entry: Entry
}

export interface JudgeRules {
  /** The moment of the commit. */
  readonly at: number
  readonly deletedMs: number
}

/** Judges a draft against the entity's newest entry; a refusal is a `conflict`. */
export function judge(draft: Draft, newest: Entry | undefined, rules: JudgeRules): Verdict {
  const current = newest === undefined || isExpired(newest.exp, rules.at) ? undefined : newest
  if (expects(draft) && !meetsExpectation(draft, current)) {
    if (current !== undefined && isOwnRetry(draft, current))
      return { status: 'already', entry: current }
    throw conflict(draft, current, 'it is not as expected')
  }
  const ver = draft.ver ?? (current?.ver ?? 0) + 1
  if (current !== undefined && ver <= current.ver) {
    if (ver < current.ver) throw conflict(draft, current, `version ${ver} is older`)
    if (sameContent(draft, current)) return { status: 'already', entry: current }
    throw conflict(draft, current, `version ${ver} is there with other content`)
  }
  if (!Number.isSafeInteger(ver))
    throw conflict(draft, current, 'there is no version after the last one')
  const exp = draft.exp === undefined ? defaultExp(draft, rules) : draft.exp
  return {
    status: 'appended',
    entry: { pi: idOfKey(draft.key), ver, tip: draft.tip, ts: draft.ts ?? rules.at, exp },
  }
}

function defaultExp(draft: Draft, { at, deletedMs }: JudgeRules): number | null {
  return draft.tip === null ? Math.min(at + deletedMs, Number.MAX_SAFE_INTEGER) : null
}

function expects(draft: Draft): boolean {
  return draft.expectVer !== undefined || draft.expectTip !== undefined
}

function meetsExpectation(draft: Draft, current: Entry | undefined): boolean {
  if (draft.expectVer !== undefined && draft.expectVer !== (current?.ver ?? 0)) return false
  return draft.expectTip === undefined || sameTip(draft.expectTip, current?.tip ?? null)
}

/** What was expected is gone because this very draft was accepted before. */
function isOwnRetry(draft: Draft, current: Entry): boolean {
  const ver = draft.ver ?? (draft.expectVer === undefined ? current.ver : draft.expectVer + 1)
  return ver === current.ver && sameContent(draft, current)
}

function sameContent(draft: Draft, current: Entry): boolean {
  return sameTip(draft.tip, current.tip) && (draft.exp === undefined || draft.exp === current.exp)
}

function sameTip(a: CidBytes | null, b: CidBytes | null): boolean {
  return a === null || b === null ? a === b : bytesEqual(a, b)
}

function conflict(draft: Draft, current: Entry | undefined, why: string): CairnError {
  const pi = idOfKey(draft.key)
  return new CairnError('conflict', `Entity "${pi}" was not changed: ${why}.`, {
    hint: 'Read its current version and decide anew.',
    pi,
    current_ver: current?.ver ?? 0,
    current_tip: current?.tip === undefined || current.tip === null ? null : printCid(current.tip),
  })
}

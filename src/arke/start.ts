/** Where the reading of old data begins: at a pointer, at a snapshot that is named, or at a CAR's root. */
import { CairnError } from '../errors.ts'
import { printCid, type CidBytes } from '../model/cid.ts'
import { isChainRecord } from './chain.ts'
import { isUsable } from './links.ts'
import { findPointer, type OldPointer } from './pointer.ts'
import type { FindingSink } from './report.ts'
import { describeSnapshot } from './snapshot.ts'
import { problemError, readRecord, type OldSource } from './source.ts'

export interface Start {
  readonly pointer?: OldPointer | undefined
  readonly snapshot?: CidBytes | undefined
  /** The newest chain entry or event. */
  readonly head?: CidBytes | undefined
  /** Whether the `.tip` files belong to this state. */
  readonly tips: boolean
}

export interface StartOptions {
  readonly pointer?: string | undefined
  readonly snapshot?: CidBytes | undefined
  readonly signal?: AbortSignal | undefined
}

export async function findStart(
  source: OldSource,
  { pointer: path, snapshot, signal }: StartOptions,
  findings: FindingSink,
): Promise<Start> {
  if (snapshot !== undefined) return { snapshot, tips: false }
  if (source.files === undefined) return startAtRoot(source, signal)
  const pointer = await findPointer(source.files, path, findings)
  return { pointer, snapshot: pointer?.snapshot, head: pointer?.head, tips: true }
}

/** A CAR's header may name any number of roots. */
const MAX_ROOTS = 1000

async function startAtRoot(source: OldSource, signal: AbortSignal | undefined): Promise<Start> {
  const roots = (source.roots ?? []).filter(isUsable)
  const snapshots: CidBytes[] = []
  const heads: CidBytes[] = []
  for (const root of roots.slice(0, MAX_ROOTS)) {
    const read = await readRecord(source, root, signal)
    if ('problem' in read) {
      if (roots.length === 1) throw problemError(read.problem, 'snapshot', root)
    } else if (describeSnapshot(root, read.map) !== undefined) snapshots.push(root)
    else if (isChainRecord(read.map)) heads.push(root)
  }
  const [snapshot, ...others] = snapshots
  if (others.length > 0) throw unclear('The CAR has several old snapshots as roots', snapshots)
  if (snapshot !== undefined) return { snapshot, tips: false }
  const [head, ...otherHeads] = heads
  if (head === undefined || otherHeads.length > 0)
    throw unclear('No root of the CAR is a snapshot of the old system', roots)
  return { head, tips: false }
}

function unclear(what: string, cids: readonly CidBytes[]): CairnError {
  const some = cids.slice(0, 5).map(printCid)
  return new CairnError('usage', `${what}${some.length === 0 ? '' : `: ${some.join(', ')}`}.`, {
    hint: 'Say which snapshot is meant with --snapshot CID.',
    cids: some,
  })
}

/**
 * The log read backwards by pages, each entry with the chain block that carries it: how programs of the
 * replaced system read it, for which every entry was a block of its own.
 *
 * A cursor names the entry that its page begins with: the block's CID and the entry's place in it (the last
 * one unless said), and the generation in which it was given. A CID alone, which such a program may have kept,
 * does for a cursor, too.
 */
import { walkBack, type LoadedBlock } from '../chain/walk.ts'
import { CairnError } from '../errors.ts'
import { chainBlockOf } from '../model/chain-block.ts'
import { bytesEqual, isEngineCid, printCid, readCid, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import { cursorRefused } from '../model/cursor.ts'
import type { CallOptions } from '../store/backend.ts'
import { getProvedBlocks } from '../store/proved.ts'
import type { Context } from './context.ts'
import type { LoggedEntry } from './history.ts'
import { checkLimit, logViewOf, type LogView } from './log.ts'
import type { Pointer } from './pointer.ts'
import { identitiesOf } from './state.ts'

export interface PlacedEntry extends LoggedEntry {
  readonly block: CidBytes
}

export interface LogBackOptions extends CallOptions {
  /** 1 to 10,000. */
  readonly limit: number
  /** `nextCursor` of the page before, or the CID of a chain block; not given: the newest entry. */
  readonly cursor?: string | undefined
}

export interface LogBackPage {
  /** Newest first; fewer than the limit only at the end of what is kept. */
  readonly items: readonly PlacedEntry[]
  readonly nextCursor: string | null
  /** The commit that it was read in. */
  readonly commit: Commit
}

interface Place {
  readonly cid: CidBytes
  /** Of an entry in the block. */
  readonly index: number
  /** Whether this log is sure to have had it. */
  readonly sure: boolean
}

export async function logBackPage(
  context: Context,
  pointer: Pointer,
  { limit, cursor, signal }: LogBackOptions,
): Promise<LogBackPage> {
  checkLimit(limit)
  return pointer.reading(async (state) => {
    const view = logViewOf(state)
    const { commit } = view
    const from = cursor === undefined ? undefined : placeOf(cursor, commit)
    const items: PlacedEntry[] = []
    for await (const { cid, block } of blocksBack(context, view, from, signal)) {
      const here = from !== undefined && bytesEqual(cid, from.cid)
      const top = here ? Math.min(from.index, block.entries.length - 1) : block.entries.length - 1
      for (let i = top; i >= 0; i--) {
        const entry = block.entries[i]
        const position = block.first + i
        if (entry === undefined || position < commit.floor)
          return { items, nextCursor: null, commit }
        if (items.length === limit) return { items, nextCursor: printPlace(cid, i, commit), commit }
        items.push({ entry, position, block: cid })
      }
    }
    return { items, nextCursor: null, commit }
  }, signal)
}

async function* blocksBack(
  context: Context,
  { commit, chain, upto }: LogView,
  from: Place | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<LoadedBlock> {
  const top =
    from === undefined
      ? chain.length - 1
      : chain.findLastIndex(({ cid }) => bytesEqual(cid, from.cid))
  for (let i = top; i >= 0; i--) {
    const block = chain[i]
    if (block !== undefined) yield block
  }
  const folded = from !== undefined && top < 0
  if (folded) await checkThere(context, commit, from, signal)
  yield* walkBack(context.backend, {
    head: folded ? from.cid : commit.base,
    base: null,
    identities: identitiesOf(commit),
    floor: commit.floor,
    next: folded ? undefined : upto,
    signal,
  })
}

/** A CID comes from outside: it may name anything, or nothing. */
async function checkThere(
  { backend }: Context,
  commit: Commit,
  { cid, index, sure }: Place,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [bytes] = await getProvedBlocks(backend, [cid], { signal })
  if (bytes === undefined && sure) throw gone(commit)
  const block = bytes === undefined ? undefined : chainBlockOf(bytes)
  if (block === undefined || !identitiesOf(commit).includes(block.dataset)) {
    throw cursorRefused('it names no entry of this dataset')
  }
  if (block.first + index < commit.floor) throw gone(commit)
}

const PLACE = /^([a-z2-7]{50,70})(?:\.(\d{1,7})\.(\d+-[0-9a-f]{1,64}))?$/

const generationText = ({ generation: { number, tag } }: Commit): string => `${number}-${tag}`

function printPlace(cid: CidBytes, index: number, commit: Commit): string {
  return `${printCid(cid)}.${index}.${generationText(commit)}`
}

function placeOf(cursor: string, commit: Commit): Place {
  const [, text, index, generation] = PLACE.exec(cursor) ?? []
  if (text === undefined) throw cursorRefused('it is not one')
  if (generation !== undefined && generation !== generationText(commit))
    throw cursorRefused('the dataset was restored or rolled back since it was given')
  const cid = readCid(text)
  if (cid === undefined || !isEngineCid(cid)) throw cursorRefused('it is not one')
  const sure = generation !== undefined
  return { cid, index: index === undefined ? Number.MAX_SAFE_INTEGER : Number(index), sure }
}

function gone({ dataset, floor, next }: Commit): CairnError {
  return new CairnError('history_gone', `The log of "${dataset}" is not kept so far back.`, {
    hint: 'Read the entities as they are now, then the newest entries of the log.',
    floor,
    next,
  })
}

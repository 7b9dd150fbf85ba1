/**
 * Which blocks a public gateway gives: those that the kept snapshots reach, and nothing else that the store may
 * have. They are found by a walk when somebody first asks, and again when the kept snapshots are others: what
 * came is added, after one went the list is made anew. Nobody is answered by a list that is older than the kept
 * snapshots, so what they let go of is not given any more.
 */
import { setImmediate } from 'node:timers/promises'
import { linksOf } from '../content/links.ts'
import { inlineBytes, CODEC_RAW, cidKey, cidParts, type CidBytes } from '../model/cid.ts'
import { problemOf, seenIn, type Seen } from '../reach/met.ts'
import type { CallOptions } from '../store/backend.ts'
import type { BlockReader } from '../store/proved.ts'
import { orAborted } from '../util/abortable.ts'
import { DigestMap } from '../util/digest-map.ts'

export interface PublishedOptions {
  readonly store: BlockReader
  /** A text that is another when the kept snapshots are others. */
  readonly version: (options: CallOptions) => Promise<string>
  /** The CIDs of the kept snapshots. */
  readonly roots: (options: CallOptions) => Promise<readonly CidBytes[]>
}

export interface Published {
  /** Whether a kept snapshot reaches this block. Waits for a list that is being made. */
  has(cid: CidBytes, signal: AbortSignal): Promise<boolean>
  close(): void
}

/** A list that is made, or being made. */
interface List {
  readonly table: DigestMap
  readonly seen: Seen
  readonly roots: Set<string>
  version: string
  /** False once something was missing: it may be there when the list is made again. */
  whole: boolean
}

export function published({ store, version, roots }: PublishedOptions): Published {
  const closing = new AbortController()
  const { signal: closed } = closing
  let list: List | undefined
  let making: Promise<void> | undefined
  /** The kept snapshots themselves are known before all that is under them. */
  let kept: { readonly version: string; readonly roots: ReadonlySet<string> } | undefined

  const forget = (): void => {
    list?.table.close()
    list = undefined
  }

  const keptAt = async (now: string): Promise<ReadonlySet<string>> => {
    if (kept?.version !== now) {
      const keys = (await roots({ signal: closed })).map(cidKey)
      kept = { version: now, roots: new Set(keys) }
    }
    return kept.roots
  }

  const make = async (): Promise<void> => {
    const now = await version({ signal: closed })
    const wanted = await roots({ signal: closed })
    const keys = new Set(wanted.map(cidKey))
    const grows = list?.whole === true && [...list.roots].every((root) => keys.has(root))
    if (!grows) forget()
    const into = (list ??= emptyList())
    try {
      const fresh = wanted.filter((root) => !into.roots.has(cidKey(root)))
      if (!(await addReachable(store, fresh, into.seen, closed))) into.whole = false
      for (const key of keys) into.roots.add(key)
      into.version = now
    } catch (error) {
      // Blocks of it were noted whose links were not followed.
      forget()
      throw error
    }
  }

  return {
    async has(cid, signal) {
      // It holds its own bytes, and is too short to lead anywhere.
      if (inlineBytes(cid) !== undefined) return true
      for (;;) {
        const now = await version({ signal })
        if ((await keptAt(now)).has(cidKey(cid))) return true
        if (list?.version === now) return list.seen.has(cid)
        making ??= make().finally(() => (making = undefined))
        // It goes on for others.
        await orAborted(making, signal)
      }
    },
    close() {
      closing.abort()
      void (making ?? Promise.resolve()).catch(() => {}).then(forget)
    },
  }
}

function emptyList(): List {
  const table = new DigestMap()
  return { table, seen: seenIn(table), roots: new Set(), version: '', whole: true }
}

const WIDTH = 64
const MAX_PENDING = 4_000_000

/**
 * Adds all that is under `roots`; what is there already is passed over with all that is under it. Reads what may
 * link alone. False when something was missing or damaged, which leads no further.
 */
async function addReachable(
  store: BlockReader,
  roots: readonly CidBytes[],
  into: Seen,
  signal: AbortSignal,
): Promise<boolean> {
  const ahead: CidBytes[] = []
  let whole = true
  const visit = (cid: CidBytes): void => {
    if (inlineBytes(cid) !== undefined || !into.add(cid)) return
    if (cidParts(cid).codec !== CODEC_RAW) ahead.push(cid)
  }
  for (const root of roots) visit(root)
  while (ahead.length > 0) {
    // Others are answered meanwhile.
    await setImmediate(undefined, { signal })
    const some = ahead.splice(-WIDTH)
    const blocks = await store.getBlocks(some, { signal })
    for (const [i, cid] of some.entries()) {
      const links = linksIn(cid, blocks[i])
      if (links === undefined || ahead.length + links.length > MAX_PENDING) whole = false
      else for (const link of links) visit(link)
    }
  }
  return whole
}

function linksIn(cid: CidBytes, bytes: Uint8Array | undefined): CidBytes[] | undefined {
  if (bytes === undefined || problemOf(cid, bytes, 'content') !== undefined) return undefined
  try {
    return linksOf(cid, bytes)
  } catch {
    return undefined
  }
}

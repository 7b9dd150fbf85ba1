/**
 * Loading the true states into a dataset, in one commit. The newest version wins against what the dataset
 * has, too: what it has in a newer version, or deleted there, stays, and is counted.
 */
import type { LongOptions } from '../engine/context.ts'
import type { Dataset } from '../engine/dataset.ts'
import type { ImportEntry } from '../engine/import-entry.ts'
import { bytesEqual, printCid, type CidBytes } from '../model/cid.ts'
import { keyOf } from '../model/entity-id.ts'
import type { ContentMode, Entry } from '../model/entry.ts'
import type { FindingSink } from './report.ts'
import type { Spool, Spooled } from './spool.ts'

export interface LoadOptions extends LongOptions {
  readonly content: ContentMode
  readonly findings: FindingSink
  readonly tempDir?: string | undefined
}

export interface Loaded {
  readonly appended: number
  readonly already: number
  /** The dataset has a newer version, or the same with other content. */
  readonly newerThere: number
  /** Their content is not whole, so a linked dataset cannot take them. */
  readonly leftOut: number
  readonly snapshot: CidBytes
  readonly seq: number
}

export async function loadDataset(
  dataset: Dataset,
  spool: Spool,
  options: LoadOptions,
): Promise<Loaded> {
  const counts = { newerThere: 0, leftOut: 0 }
  async function* entries(): AsyncGenerator<ImportEntry> {
    for await (const { spooled, current } of besideCurrent(dataset, spool, options.signal)) {
      const entry = entryOf(spooled, options.content)
      if (entry === undefined) counts.leftOut += 1
      else if (current === undefined || entry.ver > current.ver) yield entry
      else if (entry.ver === current.ver && sameTip(entry.tip, current.tip)) yield entry
      else {
        counts.newerThere += 1
        if (entry.ver < current.ver) continue
        const theirs = current.tip === null ? 'deleted' : printCid(current.tip)
        const detail = `version ${entry.ver}: here ${theirs}, there ${printCid(entry.tip)}`
        await options.findings.add('newer_there', { pi: entry.pi, detail })
      }
    }
  }
  const { signal, onProgress, tempDir } = options
  const reason = 'import of old data'
  const report = await dataset.bulkLoad(entries(), { signal, onProgress, tempDir, reason })
  const { appended, already, snapshot, seq } = report
  return { appended, already, snapshot, seq, ...counts }
}

interface OldVersion {
  readonly pi: string
  readonly ver: number
  readonly tip: CidBytes
  readonly ts: number
}

function entryOf(
  { pi, ver, ts, whole, oldTip, linkedTip }: Spooled,
  content: ContentMode,
): OldVersion | undefined {
  if (content === 'external') return { pi, ver, ts, tip: oldTip }
  return whole ? { pi, ver, ts, tip: linkedTip } : undefined
}

const sameTip = (a: CidBytes, b: CidBytes | null): boolean => b !== null && bytesEqual(a, b)

/** Each state with the entry that the dataset has of it now: both come in the order of ids. */
async function* besideCurrent(
  dataset: Dataset,
  spool: Spool,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ spooled: Spooled; current: Entry | undefined }> {
  const there = dataset.entries({ deleted: true, order: 'asc', signal })
  try {
    let next = await there.next()
    for await (const spooled of spool.all()) {
      while (next.done !== true && keyOf(next.value.pi) < spooled.key) next = await there.next()
      const same = next.done !== true && keyOf(next.value.pi) === spooled.key
      yield { spooled, current: same ? next.value : undefined }
    }
  } finally {
    await there.return(undefined)
  }
}

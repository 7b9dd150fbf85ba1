/** Cutting the lines of an import into batches, and committing them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Appended } from '../engine/judge-group.ts'
import { encodeSmall } from '../engine/content-stager.ts'
import type { Dataset } from '../engine/dataset.ts'
import { isCairnError, toCairnError, type CairnError } from '../errors.ts'
import { printCid } from '../model/cid.ts'
import { atLine, parseImportLine, type ImportLine } from './import-line.ts'
import type { Line } from './lines.ts'

/** Text of a batch: a commit carries a few MiB. */
const BATCH_CHARS = 4 << 20
/** How long an unfinished batch waits for a further line where acknowledgements are waited for. */
const IDLE_MS = 20

export interface Cut {
  /** Lines of a batch at most. */
  readonly size: number
  /** Give out what there is while the source is silent. */
  readonly prompt: boolean
}

class Batch {
  readonly #size: number
  #lines: ImportLine[] = []
  #chars = 0

  constructor(size: number) {
    this.#size = size
  }

  get empty(): boolean {
    return this.#lines.length === 0
  }

  get full(): boolean {
    return this.#lines.length >= this.#size
  }

  fits({ length }: ImportLine): boolean {
    return this.empty || (!this.full && this.#chars + length <= BATCH_CHARS)
  }

  add(line: ImportLine): void {
    this.#lines.push(line)
    this.#chars += line.length
  }

  take(): ImportLine[] {
    const lines = this.#lines
    this.#lines = []
    this.#chars = 0
    return lines
  }
}

export async function* cutBatches(
  groups: AsyncIterable<readonly Line[]>,
  { size, prompt }: Cut,
): AsyncGenerator<ImportLine[]> {
  const batch = new Batch(size)
  const source = groups[Symbol.asyncIterator]()
  for (;;) {
    const next = source.next()
    // It may fail while nobody awaits it; whoever awaits it next is told.
    next.catch(() => undefined)
    if (prompt && !batch.empty && (await isSilent(next))) yield batch.take()
    const { done, value } = await next
    if (done === true) break
    for (const text of value) {
      const line = parseImportLine(text)
      if (line === undefined) continue
      if (!batch.fits(line)) yield batch.take()
      batch.add(line)
      if (batch.full) yield batch.take()
    }
  }
  if (!batch.empty) yield batch.take()
}

async function isSilent(next: Promise<unknown>): Promise<boolean> {
  const waiting = new AbortController()
  const idle = sleep(IDLE_MS, true, { signal: waiting.signal }).catch(() => false)
  try {
    return await Promise.race([idle, next.then(() => false)])
  } finally {
    waiting.abort()
  }
}

/** All or nothing, and durable when it resolves; the answers are in the order of the lines. */
export async function commitBatch(
  dataset: Dataset,
  lines: readonly ImportLine[],
  signal: AbortSignal,
): Promise<Appended[]> {
  try {
    return await dataset.appendBatch(
      lines.map(({ entry }) => entry),
      { signal },
    )
  } catch (error) {
    throw named(toCairnError(error), lines)
  }
}

/** Says which line an error is about, where that is certain. */
function named(error: CairnError, lines: readonly ImportLine[]): CairnError {
  const { pi, cid } = error.details
  const suspects = lines.filter(({ entry }) => {
    if (pi !== undefined) return entry.pi === pi
    if ('value' in entry) return isEncodingError(error) && !encodes(entry.value)
    return entry.tip instanceof Uint8Array && printCid(entry.tip) === cid
  })
  const [suspect, another] = suspects
  return suspect === undefined || (another !== undefined && pi !== undefined)
    ? error
    : atLine(error, suspect.number)
}

const isEncodingError = (error: CairnError): boolean =>
  isCairnError(error, 'invalid_content') || isCairnError(error, 'too_large')

function encodes(value: unknown): boolean {
  try {
    encodeSmall(value)
    return true
  } catch {
    return false
  }
}

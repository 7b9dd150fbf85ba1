/** What benchmarks are made of: ids that sort by time, small values, a spread of updates. */
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import type { Entry } from '../../src/model/entry.ts'
import { RunBuilder, type Run } from '../../src/model/run.ts'

/** 26 characters, like a ULID. */
export function idOf(index: number): string {
  return `01JBENCH${String(index).padStart(18, '0')}`
}

export function tipOf(index: number): Uint8Array {
  const tip = new Uint8Array(36)
  tip.set([1, 0x71, 0x12, 0x20])
  new DataView(tip.buffer).setUint32(4, index)
  return tip
}

export function* entriesOf(count: number, ver = 1, step = 1): Generator<ImportEntry> {
  for (let i = 0; i < count; i += step) yield { pi: idOf(i), ver, tip: tipOf(i + ver) }
}

export function* valuesOf(count: number, ver = 1, step = 1): Generator<ImportEntry> {
  for (let i = 0; i < count; i += step) {
    const value = { schema: 'bench/manifest@v1', pi: idOf(i), ver, note: 'x'.repeat(100) }
    yield { pi: idOf(i), ver, value }
  }
}

export function* sortedEntries(count: number): Generator<Entry> {
  for (let i = 0; i < count; i++) {
    yield { pi: idOf(i), ver: 1, tip: tipOf(i), ts: 1_700_000_000_000 + i, exp: null }
  }
}

/** Sorted entries, encoded: the source of a fold. */
export async function* runsOf(entries: Iterable<Entry>): AsyncGenerator<Run> {
  const builder = new RunBuilder()
  for (const entry of entries) {
    builder.push(entry, 'external', entry.pi)
    if (builder.count === 4096) yield builder.take()
  }
  yield builder.take()
}

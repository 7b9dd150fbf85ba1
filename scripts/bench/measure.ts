/** Clocks and memory for benchmarks. */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Figure {
  /** What was measured, unique in the table. */
  readonly name: string
  readonly value: number
  readonly unit: 'ms' | 'us' | '/s' | 'MB' | 'ratio' | 'blocks'
  /** Throughput, blocks, bytes and whatever else explains the figure. */
  readonly details?: Readonly<Record<string, number | string>>
}

/** Anonymous memory of this process in MB: mapped files are the system's. */
function anonymousMb(): number {
  const status = readFileSync('/proc/self/status', 'utf8')
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
}

export interface Measured<T> {
  readonly ms: number
  readonly peakMb: number
  readonly result: T
}

export async function measure<T>(work: () => Promise<T>): Promise<Measured<T>> {
  let peakMb = anonymousMb()
  const watch = setInterval(() => {
    peakMb = Math.max(peakMb, anonymousMb())
  }, 20)
  const start = performance.now()
  try {
    const result = await work()
    const ms = performance.now() - start
    return { ms, peakMb: Math.max(peakMb, anonymousMb()), result }
  } finally {
    clearInterval(watch)
  }
}

export function scratch(): string {
  return mkdtempSync(join(process.env['CAIRN_BENCH_DIR'] ?? tmpdir(), 'cairn-bench-'))
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

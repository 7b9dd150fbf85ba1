/** One input, within its bounds: what it may throw, how long it may take, how much memory. */
import { GCProfiler, getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Violation, type Target } from './target.ts'

export interface Finding {
  readonly target: string
  readonly kind: 'promise' | 'slow' | 'memory' | 'died'
  readonly message: string
  readonly input: Uint8Array
}

const MOST_MS = 250
/** Tables and windows of a fixed size, and a few copies of the input, are in it. */
const MOST_BYTES = 64 << 20
const TRIES = 3

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Undefined: all is well. The machine may be busy, so what took too long is tried again. */
export async function tryInput(target: Target, input: Uint8Array): Promise<Finding | undefined> {
  const first = await measured(target, input)
  if (first.broken !== undefined)
    return { target: target.name, kind: 'promise', message: first.broken, input }
  // Below 0 a collection gave back what was let go of meanwhile, and hid it.
  let best = first.bytes < 0 ? await profiled(target, input) : first
  for (let i = 1; i < TRIES && !within(target, best); i++) {
    // Else what the last try let go of is given back in this one.
    collectGarbage()
    const next = await profiled(target, input)
    best = { ms: Math.min(best.ms, next.ms), bytes: Math.min(best.bytes, next.bytes) }
  }
  if (within(target, best)) return undefined
  const slow = best.ms > mostMs(target)
  const message = slow ? 'it takes too long' : 'it takes too much memory'
  return { target: target.name, kind: slow ? 'slow' : 'memory', message, input }
}

interface Measured {
  readonly broken?: string
  readonly ms: number
  readonly bytes: number
}

const mostMs = ({ mostMs: most = MOST_MS }: Target): number => most

const within = (target: Target, { ms, bytes }: Measured): boolean =>
  ms <= mostMs(target) && bytes <= MOST_BYTES

async function measured(target: Target, input: Uint8Array): Promise<Measured> {
  const before = taken()
  const begun = performance.now()
  let broken: string | undefined
  try {
    // A target that keeps or changes its input must not reach the corpus.
    const running = target.run(Uint8Array.from(input))
    if (running !== undefined) await running
  } catch (error) {
    broken = tell(error)
  }
  const ms = performance.now() - begun
  const bytes = taken() - before
  return broken === undefined ? { ms, bytes } : { broken, ms, bytes }
}

/** The same, with the most that was taken when a collection began: it costs more than most inputs. */
async function profiled(target: Target, input: Uint8Array): Promise<Measured> {
  const profiler = new GCProfiler()
  const before = taken()
  profiler.start()
  const { ms, bytes } = await measured(target, input)
  const peaks = profiler.stop().statistics.map(({ beforeGC: { heapStatistics } }) => {
    return heapStatistics.usedHeapSize + heapStatistics.externalMemory - before
  })
  return { ms, bytes: Math.max(bytes, ...peaks) }
}

function taken(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

function tell(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof Violation) return error.message.slice(0, 300)
  const frames = (error.stack ?? '').split('\n    at ')
  const place = frames.find((one) => one.includes('/src/')) ?? frames[1] ?? ''
  const where = place.replace(/^.*\/src\//, 'src/').replace(/\)$/, '')
  return `${error.name} at ${where}: ${error.message.slice(0, 300)}`
}

/** What findings of one cause have in common: of an error that is not ours its name and place. */
export function causeOf({ target, kind, message }: Finding): string {
  const place = /^(\w+ at [^ ]+): /.exec(message)?.[1]
  return `${target} ${kind} ${place ?? message.replaceAll(/"[^"]*"|[0-9a-z]{30,}|\d+/g, '#')}`
}

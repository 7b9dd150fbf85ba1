/**
 * The loop: take an input of the corpus, change it, run it; keep what runs code that nothing ran before.
 *
 * Coverage is V8's own, asked for once a batch; the inputs of a batch that brought news are run again one
 * by one. The loop is the project's own because so it needs no native add-on and no new dependency.
 */
import { Random } from '../helpers/random.ts'
import { causeOf, tryInput, type Finding } from './bounds.ts'
import { startOf } from './corpus.ts'
import type { Coverage } from './coverage.ts'
import { mutate } from './mutate.ts'
import type { Mutation } from './mutate-bytes.ts'
import { DEFAULT_MAX_BYTES, type Target } from './target.ts'

export interface FuzzOptions {
  readonly seed: number
  readonly ms: number
  readonly coverage: Coverage
  /** More to begin with than what the project keeps. */
  readonly more?: readonly Uint8Array[]
  /** Called before inputs are run: what a death would be blamed on. */
  readonly onBatch?: (inputs: readonly Uint8Array[]) => void
  readonly onFinding: (finding: Finding) => void
}

export interface FuzzReport {
  readonly target: string
  readonly runs: number
  /** Inputs that brought news, in the order in which they came. */
  readonly fresh: readonly Uint8Array[]
  readonly corpus: number
  readonly findings: number
}

const BATCH = 24
const BATCH_MS = 8
const MOST_FINDINGS = 6

export async function fuzz(target: Target, options: FuzzOptions): Promise<FuzzReport> {
  const { coverage, onBatch = () => {}, onFinding } = options
  const random = new Random(options.seed)
  const corpus = [...startOf(target), ...(options.more ?? [])]
  const fresh: Uint8Array[] = []
  const causes = new Set<string>()
  const until = performance.now() + options.ms
  let runs = 0

  const run = async (input: Uint8Array): Promise<void> => {
    runs += 1
    const finding = await tryInput(target, input)
    if (finding === undefined || causes.has(causeOf(finding))) return
    causes.add(causeOf(finding))
    onFinding(await shrunk(target, finding))
  }
  for (const input of corpus) {
    onBatch([input])
    await run(input)
  }
  coverage.take()

  const maxBytes = target.maxBytes ?? DEFAULT_MAX_BYTES
  const mutation: Mutation = {
    random,
    kind: target.kind,
    pool: corpus,
    tokens: target.tokens ?? [],
    maxBytes,
  }
  while (performance.now() < until && causes.size < MOST_FINDINGS) {
    const batch = Array.from({ length: BATCH }, () => made(target, corpus, mutation))
    onBatch(batch)
    const begun = performance.now()
    const ran: Uint8Array[] = []
    for (const input of batch) {
      await run(input)
      ran.push(input)
      if (performance.now() - begun > BATCH_MS) break
    }
    if (!coverage.take()) continue
    for (const input of ran) {
      // Run again alone: the news was of the batch.
      await tryInput(target, input)
      if (!coverage.meets()) continue
      corpus.push(input)
      fresh.push(input)
    }
  }
  return { target: target.name, runs, fresh, corpus: corpus.length, findings: causes.size }
}

/** Older inputs are taken less often than those that came last. */
function made(target: Target, corpus: readonly Uint8Array[], mutation: Mutation): Uint8Array {
  const { random } = mutation
  const place = Math.floor(Math.sqrt(random.next()) * corpus.length)
  const changed = mutate(corpus[place] ?? new Uint8Array(0), mutation)
  return target.mend !== undefined && random.next() < 0.6 ? target.mend(changed) : changed
}

const SHRINK_MS = 4000

/** The smallest input that was found with the same cause: parts are cut out as long as it stays. */
async function shrunk(target: Target, finding: Finding): Promise<Finding> {
  const until = performance.now() + SHRINK_MS
  let best = finding
  for (let size = best.input.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < best.input.length && performance.now() < until;) {
      const { input } = best
      const shorter = Buffer.concat([input.subarray(0, at), input.subarray(at + size)])
      const still = await tryInput(target, Uint8Array.from(shorter))
      if (still !== undefined && causeOf(still) === causeOf(finding)) best = still
      else at += size
    }
  }
  return best
}

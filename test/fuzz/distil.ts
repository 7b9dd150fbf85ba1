/** The smallest inputs that run, together, all the code that a corpus runs. */
import { tryInput } from './bounds.ts'
import type { Coverage } from './coverage.ts'
import type { Target } from './target.ts'

/** The largest input that is worth keeping in the project, and all of a target's. */
const MOST_BYTES = 8 * 1024
const MOST_TOGETHER = 48 * 1024

export async function smallestSet(
  target: Target,
  inputs: readonly Uint8Array[],
  coverage: Coverage,
  onInput: () => void,
): Promise<Uint8Array[]> {
  const seeds = new Set(target.seeds().map((seed) => Buffer.from(seed).toString('hex')))
  // What the seeds reach need not be kept: they are made anew each time.
  for (const seed of target.seeds()) await tryInput(target, Uint8Array.from(seed))
  coverage.take()
  const kept: Uint8Array[] = []
  let together = 0
  for (const input of inputs.toSorted((a, b) => a.length - b.length)) {
    onInput()
    if (input.length > MOST_BYTES || seeds.has(Buffer.from(input).toString('hex'))) continue
    if ((await tryInput(target, input)) !== undefined || !coverage.take()) continue
    if (together + input.length > MOST_TOGETHER) break
    together += input.length
    kept.push(input)
  }
  return kept
}

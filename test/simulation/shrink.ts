/** Makes a plan that fails smaller, as long as it fails in the same way. */
import type { Part, Plan } from './plan.ts'
import { simulate } from './simulate.ts'

const MOST_TRIES = 300

/** What fails alike: the first line, without the step and numbers. */
export function likeness(failure: string): string {
  const [line = ''] = failure.split('\n')
  return line.replace(/^p\S+ \w+ \d+:? /, '').replaceAll(/\bbaf\w+|\d+/g, '#')
}

export async function shrunk(plan: Plan, failure: string): Promise<Plan> {
  const wanted = likeness(failure)
  let tries = 0
  const stillFails = async (smaller: Plan): Promise<boolean> => {
    if (tries++ >= MOST_TRIES) return false
    const played = await simulate(smaller)
    return played.failure !== undefined && likeness(played.failure) === wanted
  }
  let best = plan
  for (const fault of plan.faults) {
    const smaller = { ...best, faults: best.faults.filter((one) => one !== fault) }
    if (await stillFails(smaller)) best = smaller
  }
  for (let size = Math.ceil(best.parts.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.parts.length;) {
      const smaller = { ...best, parts: without(best.parts, at, size) }
      if (await stillFails(smaller)) best = smaller
      else at += size
    }
  }
  return best
}

const without = (parts: readonly Part[], at: number, size: number): Part[] => [
  ...parts.slice(0, at),
  ...parts.slice(at + size),
]

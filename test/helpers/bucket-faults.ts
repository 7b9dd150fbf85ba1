/** Faults on the way to a bucket by chance, of all kinds, as a seed decides. */
import type { BucketCall, Fault } from './bucket-proxy.ts'
import type { Random } from './random.ts'

const FAULTS: readonly [Fault, ...Fault[]] = [
  'refuse',
  'lose',
  'refuse-after',
  'cut-after',
  'truncate',
  'shorten',
  'flip',
  'late',
  { before: 30 },
  { after: 30 },
]

export interface ChanceFaults {
  readonly decide: (call: BucketCall) => Fault | undefined
  /** How many requests met with one. */
  count(): number
}

/** `share`: of all requests. */
export function chanceFaults(random: Random, share: number): ChanceFaults {
  let count = 0
  const decide = ({ operation, key, query }: BucketCall): Fault | undefined => {
    if (random.next() >= share) return undefined
    // A sweep that hears of stagings late waits for more of them than it must.
    if (query.get('prefix')?.includes('/leases/')) return undefined
    const fault = random.pick(FAULTS)
    // Nothing says how a listing was, nor the head of an object.
    if (fault === 'flip' && operation !== 'GetObject') return undefined
    // A lease that comes back after its end makes sweeps wait until it is void.
    if (fault === 'late' && key.includes('/leases/')) return undefined
    count += 1
    return fault
  }
  return { decide, count: () => count }
}

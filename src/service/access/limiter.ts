/**
 * How often each key may do something: a bucket a key that fills steadily. The number of keys is bounded:
 * whoever has not been seen for longest is forgotten first, which is at worst to their advantage.
 */

export interface Limiter {
  /** 0 when it may be done now, which counts; otherwise the milliseconds to wait, which counts nothing. */
  readonly take: (key: string) => number
  /** The milliseconds until it may be done; counts nothing. */
  readonly wait: (key: string) => number
}

export interface LimiterOptions {
  /** How much is regained in a second. */
  readonly perSecond: () => number
  /** What can be saved up. */
  readonly burst: () => number
  readonly now: () => number
  readonly keys?: number
}

interface Bucket {
  left: number
  at: number
}

const MAX_KEYS = 10_000

export function limiter({ perSecond, burst, now, keys = MAX_KEYS }: LimiterOptions): Limiter {
  const buckets = new Map<string, Bucket>()
  const fill = (key: string): Bucket => {
    const bucket = buckets.get(key) ?? { left: burst(), at: now() }
    buckets.delete(key)
    buckets.set(key, bucket)
    const oldest = buckets.size > keys ? buckets.keys().next().value : undefined
    if (oldest !== undefined) buckets.delete(oldest)
    // A clock that went back takes nothing away.
    const passed = Math.max(0, now() - bucket.at)
    bucket.left = Math.min(burst(), bucket.left + (passed / 1000) * perSecond())
    bucket.at = now()
    return bucket
  }
  const missing = ({ left }: Bucket): number =>
    left >= 1 ? 0 : Math.ceil(((1 - left) / perSecond()) * 1000)
  return {
    take: (key) => {
      const bucket = fill(key)
      const ms = missing(bucket)
      if (ms === 0) bucket.left--
      return ms
    },
    wait: (key) => (buckets.has(key) ? missing(fill(key)) : 0),
  }
}

/** Which parts a run proves, and in what order. Pure. */
import type { Part } from './part.ts'

export type VerifyMode =
  /** The current snapshot and the recent chain, and of content whether the tips are there. */
  | { readonly kind: 'quick' }
  | { readonly kind: 'full' }
  /** A random choice of the parts. */
  | { readonly kind: 'sample'; readonly fraction: number }
  /** As many parts as the time allows, those first that were proved the longest ago, or never. */
  | { readonly kind: 'budget'; readonly ms: number }

export function plannedParts(
  mode: VerifyMode,
  parts: Iterable<Part>,
  provedAt: (id: string) => number | null,
  random: () => number,
): Part[] {
  // The pointer and the spines are proved in any case, which is how the other parts are known.
  const some = [...parts].filter(({ kind }) => kind === 'leaf' || kind === 'chain')
  switch (mode.kind) {
    case 'quick':
      return []
    case 'full':
      return some
    case 'sample':
      return chosen(some, Math.ceil(some.length * mode.fraction), random)
    case 'budget': {
      const age = (part: Part): number => provedAt(part.id) ?? -1
      return some.toSorted((a, b) => age(a) - age(b))
    }
  }
}

/** `count` of `items`, each as likely as any other, in their order. */
function chosen<T>(items: readonly T[], count: number, random: () => number): T[] {
  let wanted = count
  return items.filter((_, i) => {
    const take = random() * (items.length - i) < wanted
    if (take) wanted -= 1
    return take
  })
}

export interface Coverage {
  readonly parts: number
  /** Parts that were never proved. */
  readonly never: number
  /** Half of the parts were proved within so many milliseconds, nine of ten, all; null: not all were ever. */
  readonly halfWithinMs: number | null
  readonly mostWithinMs: number | null
  readonly allWithinMs: number | null
}

export function coverageOf(
  ids: Iterable<string>,
  provedAt: (id: string) => number | null,
  now: number,
): Coverage {
  const ages = [...ids].map((id) => {
    const at = provedAt(id)
    return at === null ? Infinity : Math.max(0, now - at)
  })
  ages.sort((a, b) => (a === b ? 0 : a - b))
  const within = (share: number): number | null => {
    const age = ages[Math.ceil(ages.length * share) - 1] ?? Infinity
    return age === Infinity ? null : age
  }
  return {
    parts: ages.length,
    never: ages.filter((age) => age === Infinity).length,
    halfWithinMs: within(0.5),
    mostWithinMs: within(0.9),
    allWithinMs: within(1),
  }
}

/** What a store must hold: what was acknowledged, and of what was under way at a death either all or nothing. */
import type { Said, Written } from './member.ts'

export interface Held {
  readonly ver: number
  /** Deleted; of one that was never written, too. */
  readonly gone: boolean
}

export type World = ReadonlyMap<string, Held>

const NOTHING: Held = { ver: 0, gone: true }

export interface After {
  readonly world: World
  /** The write that was not acknowledged. */
  readonly open: readonly Written[]
  /** What a rollback leads to that was begun and did not end. */
  readonly back?: World
}

/** What a process makes of a world, as far as it was acknowledged. */
export function afterDeeds(before: World, said: readonly Said[]): After {
  let world = new Map(before)
  let open: readonly Written[] = []
  let marked: World = before
  let back: World | undefined
  for (const { begun, acked, rollback } of said) {
    if (begun !== undefined) open = begun
    if (rollback === 'marked') marked = new Map(world)
    if (rollback === 'begun') back = marked
    if (rollback === 'done') {
      world = new Map(marked)
      back = undefined
    }
    if (acked === undefined) continue
    for (const { pi, ver, gone } of acked) world.set(pi, { ver, gone })
    open = []
  }
  return { world, open, ...(back === undefined ? {} : { back }) }
}

/** What does not hold. Entities of the world are looked at; a write that is open is there in whole or not at all. */
export function compareWorld(
  found: World,
  expected: World,
  opens: readonly (readonly Written[])[],
): string[] {
  const problems: string[] = []
  const taken = new Map<string, number>()
  for (const open of opens) {
    const there = open.filter(({ pi, ver }) => found.get(pi)?.ver === ver)
    for (const { pi, ver } of there) taken.set(pi, ver)
    if (there.length > 0 && there.length < open.length)
      problems.push(`a batch is there in part: ${JSON.stringify(open)}`)
  }
  for (const [pi, held] of expected) {
    const now = found.get(pi) ?? NOTHING
    if (taken.get(pi) === now.ver) continue
    if (now.ver !== held.ver || now.gone !== held.gone)
      problems.push(`${pi} is ${JSON.stringify(now)}, and ${JSON.stringify(held)} was acknowledged`)
  }
  for (const pi of found.keys())
    if (!expected.has(pi) && !taken.has(pi)) problems.push(`${pi} should not be there`)
  return problems.slice(0, 5)
}

/** Positions are given once, in a process in ascending order. */
export class Positions {
  readonly #given = new Set<number>()

  take(said: readonly Said[]): string[] {
    const problems: string[] = []
    let last = -1
    for (const { pi, position } of said.flatMap(({ acked }) => acked ?? [])) {
      if (position === null) problems.push(`${pi} was acknowledged without a position`)
      else if (this.#given.has(position) || position <= last)
        problems.push(`position ${position} of ${pi} was given before`)
      last = position ?? last
      this.#given.add(last)
    }
    return problems
  }
}

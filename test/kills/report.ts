/** What came of a series of kills, for people. */
import { isInside, type Killed } from './run.ts'

const BAR_CHARS = 40
/** Of all kills, between first effect and completion. */
const LEAST_INSIDE = 0.8

/** By operation and step, with the share that died between first effect and completion. */
export function histogram(kills: readonly Killed[]): string {
  const lines: string[] = []
  const groups = grouped(kills, ({ backend, operation }) => `${backend} ${operation}`)
  for (const [name, group] of groups) {
    const inside = group.filter(isInside).length
    lines.push(`${name}: ${group.length} kills, ${inside} between first effect and completion`)
    const steps = grouped(group, ({ step, victim }) =>
      victim === 'node' ? `${step} (node)` : step,
    )
    const most = Math.max(...[...steps.values()].map((some) => some.length))
    for (const [step, some] of [...steps].toSorted((a, b) => b[1].length - a[1].length)) {
      const bar = '#'.repeat(Math.max(1, Math.round((some.length / most) * BAR_CHARS)))
      lines.push(`  ${step.padEnd(24)} ${String(some.length).padStart(4)} ${bar}`)
    }
  }
  return lines.join('\n')
}

export function problemsOf(kills: readonly Killed[]): string[] {
  return kills.flatMap(({ backend, operation, victim, step, problems }) =>
    problems.map((one) => `${backend} ${operation}, ${victim} killed at ${step}: ${one}`),
  )
}

export function enoughInside(kills: readonly Killed[]): boolean {
  return kills.filter(isInside).length >= LEAST_INSIDE * kills.length
}

export function summary(kills: readonly Killed[]): string {
  const inside = kills.filter(isInside).length
  return `${kills.length} kills, ${inside} inside, ${problemsOf(kills).length} problems`
}

function grouped(
  kills: readonly Killed[],
  nameOf: (killed: Killed) => string,
): Map<string, Killed[]> {
  const groups = new Map<string, Killed[]>()
  for (const killed of kills) {
    const name = nameOf(killed)
    const group = groups.get(name) ?? []
    group.push(killed)
    groups.set(name, group)
  }
  return groups
}

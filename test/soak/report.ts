/** Where the deaths of a soak fell, for people. */
import type { Death } from './round.ts'

const BAR_CHARS = 40

export function histogram(deaths: readonly Death[]): string {
  const lines: string[] = []
  for (const [role, some] of counted(deaths, (death) => death.role)) {
    lines.push(`${role}: ${some.length} killed, last said`)
    const steps = [...counted(some, ({ step }) => step)].toSorted(
      (a, b) => b[1].length - a[1].length,
    )
    const most = steps[0]?.[1].length ?? 1
    for (const [step, { length }] of steps) {
      const bar = '#'.repeat(Math.ceil((length / most) * BAR_CHARS))
      lines.push(`  ${step.padEnd(28)} ${String(length).padStart(5)} ${bar}`)
    }
  }
  return lines.join('\n')
}

function counted(deaths: readonly Death[], nameOf: (death: Death) => string): Map<string, Death[]> {
  const groups = new Map<string, Death[]>()
  for (const death of deaths)
    groups.set(nameOf(death), [...(groups.get(nameOf(death)) ?? []), death])
  return groups
}

/** What came of the cases, for people. */
import type { Case } from './cases.ts'
import type { Fault } from './steps.ts'

/** Each with the command that repeats it. */
export function problemsOf(backend: string, cases: readonly Case[]): string[] {
  return cases.flatMap(({ operation, step, plan: { at, fault }, ended, problems }) => {
    const where = `${operation}: ${fault} at ${at}, ${step}; ended ${ended}`
    const command = `node scripts/faults.mjs --backend "${backend}" --operation "${operation}" --step ${at} --fault ${fault}`
    return problems.map((problem) => `${where}: ${problem}\n  ${command}`)
  })
}

/** Rows of operation and step, columns of faults: how it ended, and what the store says. */
export function tableOf(cases: readonly Case[]): string {
  const rows = new Map<string, Map<Fault, string>>()
  for (const { operation, step, plan, ended, outcome, problems } of cases) {
    const key = `${operation.padEnd(26)} ${String(plan.at).padStart(3)} ${step.padEnd(22)}`
    const row = rows.get(key) ?? new Map<Fault, string>()
    row.set(plan.fault, `${ended}, ${outcome}${problems.length > 0 ? ' PROBLEM' : ''}`)
    rows.set(key, row)
  }
  const lines = [...rows].map(([key, row]) => {
    const cells = [...row].map(([fault, cell]) => `${fault}: ${cell}`)
    return `${key} ${cells.toSorted().join(' | ')}`
  })
  return lines.toSorted().join('\n')
}

export function summary(cases: readonly Case[]): string {
  const counts = new Map<string, number>()
  for (const { ended, outcome } of cases) {
    const key = `${ended}, ${outcome}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const parts = [...counts].map(([key, count]) => `${count} ${key}`)
  return `${cases.length} cases: ${parts.toSorted().join('; ')}`
}

/** What the automation remembers of its last build and export. */
import { lookUpMemory } from '../automation/memory-file.ts'
import { runsOf, type AutomationMemory } from '../automation/memory.ts'
import type { AutomationFacts, RunFacts } from './observation.ts'

/** Undefined where no service has looked after the dataset. */
export async function readAutomation(
  dataDir: string,
  dataset: string,
): Promise<AutomationFacts | undefined> {
  const memory = await lookUpMemory(dataDir, dataset)
  if (memory === undefined) return undefined
  return { build: runFacts(memory, 'build'), export: runFacts(memory, 'export') }
}

function runFacts(memory: AutomationMemory, kind: 'build' | 'export'): RunFacts | undefined {
  const { last, failures } = runsOf(memory, kind)
  if (last === null) return undefined
  const { state, startedAt, finishedAt, error } = last
  return {
    failed: state === 'failed' || state === 'interrupted',
    finishedAt,
    durationMs: startedAt === null ? undefined : finishedAt - startedAt,
    failuresInRow: failures,
    message: error?.message,
  }
}

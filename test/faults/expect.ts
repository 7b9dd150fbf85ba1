/** What the tests here have in common. */
import { expect, onTestFinished } from 'vitest'
import type { Grounds } from './ground.ts'
import { problemsOf, summary } from './report.ts'
import { runTable, type Choice, type Table } from './table.ts'

/** FAULTS_SEED repeats a sample. */
export const SEED: number = Number(
  process.env['FAULTS_SEED'] ?? Math.floor(Math.random() * 2 ** 31),
)

/** Gone when the test has finished. */
export function ofThisTest(grounds: Grounds): Grounds {
  onTestFinished(() => grounds.dispose())
  return grounds
}

/** Runs the cases; the store is afterwards as it was, or as it should be, whatever failed. */
export async function expectHarmless(grounds: Grounds, choice: Choice): Promise<Table> {
  const table = await runTable(grounds, choice)
  const chosenBy = choice.sample?.seed ?? choice.rotate
  const seed = chosenBy === undefined ? '' : `, seed ${chosenBy}`
  process.stderr.write(`${grounds.name}${seed}: ${summary(table.cases)}\n`)
  expect(problemsOf(grounds.name, table.cases)).toEqual([])
  return table
}

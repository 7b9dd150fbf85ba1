/** What the tests here have in common. */
import { expect, onTestFinished } from 'vitest'
import type { Grounds } from './ground.ts'
import { problemsOf, summary } from './report.ts'
import { runTable, type Choice, type Table } from './table.ts'

/** FAULTS_SEED repeats a sample, or what a rotation chose. */
export const SEED: number = Number(
  process.env['FAULTS_SEED'] ?? Math.floor(Math.random() * 2 ** 31),
)

/** Of each step one fault, by the seed; all of them if FAULTS_ALL is set. */
export const ROTATED: Pick<Choice, 'rotate'> =
  process.env['FAULTS_ALL'] === undefined ? { rotate: SEED } : {}

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
  const of = choice.operation === undefined ? '' : `, ${choice.operation}`
  process.stderr.write(`${grounds.name}${of}${seed}: ${summary(table.cases)}\n`)
  expect(problemsOf(grounds.name, table.cases)).toEqual([])
  return table
}

/** All cases of a backend, or those that were chosen. */
import { Random } from '../helpers/random.ts'
import { runCase, undisturbed, type Case, type Undisturbed } from './cases.ts'
import type { Grounds } from './ground.ts'
import { memoryGrounds } from './memory-ground.ts'
import { OPERATIONS, type Operation } from './operations.ts'
import { faultsOf, type Fault, type Plan, type StepKind } from './steps.ts'

export interface Choice {
  /** Only this operation. */
  readonly operation?: string | undefined
  /** Only this step, by its number, or those of this name. */
  readonly step?: number | string | undefined
  readonly faults?: readonly Fault[] | undefined
  /** Only steps that have an effect. */
  readonly effects?: boolean
  /** Of each step one fault, chosen by this seed. */
  readonly rotate?: number | undefined
  /** So many cases, of as many operations, chosen by the seed. */
  readonly sample?: { readonly count: number; readonly seed: number } | undefined
}

export interface Table {
  readonly cases: readonly Case[]
  /** The names of all steps that came. */
  readonly steps: ReadonlySet<string>
}

interface Planned {
  readonly operation: Operation
  readonly plan: Plan
  readonly expected: Pick<Undisturbed, 'seen'>
}

/** What a store should be like is the same on every backend. */
let memory: Promise<Grounds> | undefined

export async function runTable(grounds: Grounds, choice: Choice): Promise<Table> {
  const reference = await (memory ??= memoryGrounds())
  const names = new Set<string>()
  const planned: Planned[] = []
  const random = new Random(choice.sample?.seed ?? 0)
  for (const operation of operationsOf(choice, random)) {
    const { seen } = await undisturbed(reference, operation, { watched: true })
    const { steps } = await undisturbed(grounds, operation, { watched: false })
    for (const { name } of steps) names.add(name)
    const plans = plansOf(steps, choice, randomFor(operation, choice) ?? random)
    for (const plan of choice.sample === undefined ? plans : oneOf(plans, random))
      planned.push({ operation, plan, expected: { seen } })
  }
  return { cases: await runAll(grounds, planned), steps: names }
}

/** Of a rotation, so that each operation has its own and alone the same as among others. */
function randomFor({ name }: Operation, { rotate }: Choice): Random | undefined {
  if (rotate === undefined) return undefined
  return new Random(Buffer.from(name).reduce((seed, byte) => (seed * 31 + byte) | 0, rotate))
}

function operationsOf({ operation, sample }: Choice, random: Random): readonly Operation[] {
  const named = OPERATIONS.filter(({ name }) => operation === undefined || name === operation)
  if (sample === undefined) return named
  const some = shuffled(named, random)
  return Array.from({ length: sample.count }, (_, i) => some[i % some.length]).filter(
    (one) => one !== undefined,
  )
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const keyed = items.map((item) => ({ item, key: random.next() }))
  return keyed.toSorted((a, b) => a.key - b.key).map(({ item }) => item)
}

function oneOf(plans: readonly Plan[], random: Random): readonly Plan[] {
  return plans.length === 0 ? [] : plans.slice(random.int(0, plans.length - 1)).slice(0, 1)
}

function plansOf(
  steps: readonly StepKind[],
  { step, faults, effects, rotate }: Choice,
  random: Random,
): Plan[] {
  return steps.flatMap((kind, at) => {
    if (step !== undefined && step !== at && step !== kind.name) return []
    if (effects === true && !kind.effect) return []
    const wanted = faultsOf(kind).filter((one) => faults === undefined || faults.includes(one))
    const plans = wanted.map((fault) => ({ at, fault }))
    return rotate === undefined ? plans : oneOf(plans, random)
  })
}

async function runAll(grounds: Grounds, planned: readonly Planned[]): Promise<Case[]> {
  const cases: Case[] = []
  const waiting = [...planned]
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      cases.push(await runCase(grounds, next.operation, next.plan, next.expected))
  }
  await Promise.all(Array.from({ length: grounds.atOnce }, worker))
  return cases
}

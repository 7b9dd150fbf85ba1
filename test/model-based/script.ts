/** Random scripts, and running them: what fails is told as code that runs it again. */
import fc from 'fast-check'
import { isCairnError } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import * as commands from './commands.ts'
import { checkAll } from './reads.ts'
import { VALUES, World } from './world.ts'

const PREFIXES = ['', 'a', 'ab', 'a/', 'E', 'E0', 'é', 'z']
const few = fc.constantFrom(
  'a',
  'a/1',
  'a/2',
  'ab',
  'abc',
  'b',
  'E005',
  'E064',
  'E099',
  'é',
  '\u{ff5e}',
  '\u{1f600}',
)
const ids = fc.uniqueArray(few, { minLength: 1, maxLength: 4 })
const n = fc.nat(VALUES - 1)
const back = fc.nat(5)
const days = fc.integer({ min: 1, max: 6 })
const name = fc.constantFrom('main', 'b', 'c')
const keepChain = fc.boolean()

const page = fc.record(
  {
    limit: fc.integer({ min: 1, max: 40 }),
    prefix: fc.constantFrom(...PREFIXES),
    from: few,
    to: few,
    order: fc.constantFrom('asc' as const, 'desc' as const),
    offset: fc.nat(30),
  },
  { requiredKeys: ['limit'] },
)

const COMMANDS: fc.Arbitrary<commands.Command>[] = [
  fc.tuple(ids, n).map(([all, value]) => commands.put(all, value)),
  fc
    .tuple(fc.integer({ min: 1, max: 150 }), n)
    .map(([count, value]) => commands.fill('E', count, value)),
  fc
    .tuple(
      // Few, so that one meets another.
      fc.constantFrom('a', 'E005'),
      fc.nat(1),
      fc.record(
        {
          above: fc.integer({ min: -1, max: 3 }),
          expectAbove: fc.integer({ min: -1, max: 1 }),
          untilDay: fc.constantFrom(8, 9),
        },
        { requiredKeys: [] },
      ),
    )
    .map(([id, value, version]) => commands.append(id, value, version)),
  fc
    .tuple(fc.nat(2), fc.constantFrom('same' as const, 'other' as const, 'none' as const))
    .map(([to, exp]) => commands.retry(to, { exp })),
  ids.map((all) => commands.remove(all)),
  fc.tuple(ids, n, days).map(([all, value, until]) => commands.expiring(all, value, until)),
  ...[0, 1].map(() => fc.constantFrom(undefined, undefined, 'x').map((tag) => commands.build(tag))),
  fc.tuple(back, keepChain).map(([to, keep]) => commands.rollback(to, { keepChain: keep })),
  fc
    .tuple(fc.nat(30), keepChain)
    .map(([to, keep]) => commands.rollbackToCommit(to, { keepChain: keep })),
  fc.integer({ min: 1, max: 3 }).map((keepLast) => commands.prune({ keepLast })),
  name.map((to) => commands.exportAndRestoreAs(to)),
  name.map((of) => commands.use(of)),
  fc.constant(null).map(() => commands.otherWriter()),
  fc.constant(null).map(() => commands.reopen()),
  days.map((some) => commands.tick({ days: some })),
  ...[0, 1].map(() => page.map((one) => commands.list(one as Parameters<typeof commands.list>[0]))),
  few.map((id) => commands.get(id)),
  few.map((id) => commands.history(id)),
  back.map((some) => commands.at(some)),
  fc.tuple(back, back).map(([before, after]) => commands.diff(before, after)),
]

/** Runs a script on an empty store, and looks at everything when it has ended. Answers the commands. */
export async function replay(
  backend: Backend,
  script: Iterable<commands.Command>,
): Promise<readonly string[]> {
  const world = new World(backend)
  try {
    await world.init()
    await fc.asyncModelRun(() => ({ model: world, real: world }), script)
    await checkAll(world)
    return world.script
  } catch (error) {
    throw new Error(asCode(backend.kind, world.script, error), { cause: error })
  }
}

/** Paste it into a test: it imports what it names from `commands.ts` and `script.ts`. */
function asCode(kind: string, script: readonly string[], error: unknown): string {
  const why = error instanceof Error ? error.message : String(error)
  const what = isCairnError(error) ? error.code : error instanceof Error ? error.name : 'thrown'
  const rows = script.map((text) => `  ${text},`)
  const open = kind === 'memory' ? 'openMemory()' : 'backend'
  return [
    `${what}: ${why}`,
    '',
    `// on ${kind}`,
    `await replay(${open}, [`,
    ...rows,
    '])',
    '',
  ].join('\n')
}

export interface Bounds {
  readonly runs: number
  readonly ms: number
  readonly most: number
}

const numberOf = (variable: string): number | undefined => {
  const text = process.env[variable]
  return text === undefined || text === '' ? undefined : Number(text)
}

/** Random scripts until so many have run, or the time is up. MODEL_RUNS, MODEL_MS, MODEL_STEPS, MODEL_SEED say more. */
export async function playRandomly(
  open: () => Promise<{ readonly backend: Backend; readonly end: () => Promise<void> }>,
  { runs, ms, most }: Bounds,
): Promise<number> {
  let played = 0
  const counts = new Map<string, number>()
  const seed = numberOf('MODEL_SEED')
  const scripts = fc.commands(COMMANDS, {
    maxCommands: numberOf('MODEL_STEPS') ?? most,
    size: 'max',
  })
  await fc.assert(
    fc.asyncProperty(scripts, async (script) => {
      const { backend, end } = await open()
      try {
        for (const text of await replay(backend, script)) {
          const name = text.slice(0, text.indexOf('('))
          counts.set(name, (counts.get(name) ?? 0) + 1)
        }
        played += 1
      } finally {
        await end()
      }
    }),
    {
      numRuns: numberOf('MODEL_RUNS') ?? runs,
      interruptAfterTimeLimit: numberOf('MODEL_MS') ?? ms,
      markInterruptAsFailure: false,
      includeErrorInReport: true,
      ...(seed === undefined ? {} : { seed }),
    },
  )
  if (isLong()) process.stdout.write(`${played} scripts\n${histogram(counts)}`)
  return played
}

const isLong = (): boolean =>
  numberOf('MODEL_RUNS') !== undefined || numberOf('MODEL_MS') !== undefined

function histogram(counts: ReadonlyMap<string, number>): string {
  const rows = [...counts].sort(([, a], [, b]) => b - a)
  return rows.map(([name, count]) => `${String(count).padStart(8)} ${name}\n`).join('')
}

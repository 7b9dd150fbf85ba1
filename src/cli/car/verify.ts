import type { CarFile } from '../../car/file.ts'
import type { CarProblem, CarVerification } from '../../engine/car-verification.ts'
import { longOptions, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatBytes, formatCount, printable } from '../format.ts'
import { addCarOptions, sourcesOf, withCars } from './open.ts'

export const verify: CommandSpec = {
  examples: [
    ['cairn car verify backup.car', 'exit 4 if anything is damaged, 5 if blocks are missing'],
    ['cairn car verify delta.car --base full.car', 'a delta with its base'],
    ['cairn car verify backup.car --json', 'every problem, with its block and offset'],
  ],
  define: (command) => {
    command.argument('<file>', 'a CAR')
    addCarOptions(command)
  },
  run: async (context) => {
    const sources = sourcesOf(context, context.args[0])
    const { verifyCar } = await import('../../engine/verify-car.ts')
    const { failedVerification } = await import('../../engine/car-verification.ts')
    const report = await withCars(context, sources, { trustIndex: false }, async (cars) => {
      const found = await verifyCar(cars, longOptions(context))
      return { ...found, problems: found.problems.map((one) => named(one, sources, cars)) }
    })
    await print(context, sources, report)
    const failure = failedVerification(report)
    if (failure !== undefined) throw failure
  },
}

/** By the name that was given: what was decrypted has none of its own. */
function named(
  problem: CarProblem,
  sources: readonly string[],
  cars: readonly CarFile[],
): CarProblem {
  const source = sources[cars.findIndex(({ path }) => path === problem.path)]
  return { ...problem, path: source ?? problem.path }
}

async function print(
  { output }: CommandContext,
  files: readonly string[],
  report: CarVerification,
): Promise<void> {
  const { verdict, states, counts, sections, bytes, unreached, duplicates, problems } = report
  if (output.json) {
    await output.document({
      verdict,
      files,
      states,
      sections,
      bytes,
      counts: {
        checkpoints: counts.checkpoint,
        snapshots: counts.snapshot,
        branches: counts.branch,
        leaves: counts.leaf,
        chain_lists: counts['chain list'],
        chain: counts.chain,
        content: counts.content,
      },
      unreached,
      duplicates,
      problem_count: report.problemCount,
      problems,
    })
    return
  }
  for (const problem of problems) await output.line(problemLine(problem))
  if (report.problemCount > problems.length)
    await output.line(`... and ${formatCount(report.problemCount - problems.length)} more`)
  await output.line(`${verdict}: ${counted(sections, 'block')}, ${formatBytes(bytes)}`)
  await output.flush()
  for (const { root, scope } of states) {
    if (scope === 'delta')
      output.note(`${root} is a delta: only what it has itself was proved; --base FILE proves all`)
  }
}

function problemLine({ code, message, path, offset }: CarProblem): string {
  const where = path === null ? '-' : `${path}:${offset ?? 0}`
  return printable(`${where}  ${code}  ${message}`)
}

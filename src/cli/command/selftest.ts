import { CairnError } from '../../errors.ts'
import { longOptions, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatBytes, formatCount, printable } from '../format.ts'
import { runKills, type Kill } from '../selftest/kills.ts'
import { OPERATIONS, type OperationName } from '../selftest/operations.ts'
import { storeFolder, withScratch } from '../selftest/scratch.ts'
import { runSpeeds, type Check } from '../selftest/speeds.ts'

const SCHEMA = 'cairn/selftest@v1'

interface Results {
  readonly checks: Check[]
  readonly kills: (Kill & { readonly round: number })[]
}

export const selftest: CommandSpec = {
  examples: [
    ['cairn selftest', 'every operation on the disk of the store: does it work, how fast'],
    ['cairn selftest --kill', 'the same operations, killed at each durable step'],
    ['cairn selftest --kill --only build --rounds 10', 'one of them, ten times'],
    ['cairn selftest --dir /mnt/new --json', 'on another disk, for monitoring'],
  ],
  define: (command) =>
    command
      .option('--kill', 'kill a process at each durable step, and see that all recovers')
      .option('--dir <dir>', 'make the scratch folder here (beside the store)')
      .option('--rounds <n>', 'do all of it so many times (1)')
      .option('--only <operation>', `with --kill one of ${OPERATIONS.join(', ')}`),
  run: async (context) => {
    const { config, options } = context
    const operations = operationsOf(context)
    const rounds = options.count('--rounds', 1) ?? 1
    const dir = options.text('--dir')
    const beside = dir ?? storeFolder(config.values.store)
    const results: Results = { checks: [], kills: [] }
    const folder = await withScratch({ dir, beside }, async (scratch) => {
      for (let round = 1; round <= rounds; round++)
        await runRound(context, `${scratch}/${round}`, round, operations, results)
      return scratch
    })
    await printVerdict(context, folder, rounds, results)
  },
}

function operationsOf({ options }: CommandContext): readonly OperationName[] | undefined {
  const only = options.text('--only')
  if (!options.switch('--kill')) {
    if (only === undefined) return undefined
    throw new CairnError('usage', '--only is for --kill.', { hint: 'Add --kill, or leave it out.' })
  }
  if (only === undefined) return OPERATIONS
  const operation = OPERATIONS.find((one) => one === only)
  if (operation !== undefined) return [operation]
  throw new CairnError('usage', `There is no operation "${only.slice(0, 60)}".`, {
    hint: `Name one of ${OPERATIONS.join(', ')}.`,
  })
}

async function runRound(
  context: CommandContext,
  folder: string,
  round: number,
  operations: readonly OperationName[] | undefined,
  { checks, kills }: Results,
): Promise<void> {
  const { output } = context
  const say = async (line: string): Promise<void> => {
    if (output.json) return
    await output.line(printable(line))
    await output.flush()
  }
  if (operations === undefined) {
    const onCheck = async (check: Check): Promise<void> => {
      checks.push(check)
      await say(checkLine(check))
    }
    return runSpeeds({ ...longOptions(context), folder, onCheck })
  }
  const onKill = async (kill: Kill): Promise<void> => {
    kills.push({ round, ...kill })
    await say(killLine(kill))
  }
  await runKills({ ...longOptions(context), folder, operations, onKill })
}

function checkLine({ operation, ok, ms, amount, unit, problem }: Check): string {
  const mark = ok ? 'ok    ' : 'FAILED'
  if (amount === null || unit === null) return `${mark}  ${operation}: ${problem ?? ''}`
  const perSecond = (amount * 1000) / Math.max(1, ms)
  const done = unit === 'bytes' ? formatBytes(amount) : `${formatCount(amount)} ${unit}`
  const rate =
    unit === 'bytes' ? formatBytes(Math.round(perSecond)) : formatCount(Math.round(perSecond))
  return `${mark}  ${operation.padEnd(26)} ${done.padEnd(16)} ${ms} ms, ${rate} a second`
}

function killLine({ operation, step, moment, killed, recovered, ms, problem }: Kill): string {
  const mark = recovered ? 'recovered    ' : 'NOT RECOVERED'
  const how = killed ? `killed ${moment}` : 'not killed'
  const line = `${mark}  ${operation.padEnd(8)} ${how.padEnd(14)} ${step.padEnd(15)} ${ms} ms`
  return problem === null ? line : `${line}: ${problem}`
}

async function printVerdict(
  { output }: CommandContext,
  folder: string,
  rounds: number,
  { checks, kills }: Results,
): Promise<void> {
  const failed = checks.filter(({ ok }) => !ok)
  const lost = kills.filter(({ recovered }) => !recovered)
  const passed = failed.length === 0 && lost.length === 0
  const status = passed ? 'passed' : 'failed'
  if (output.json) await output.document({ schema: SCHEMA, status, folder, rounds, checks, kills })
  else if (passed) {
    const deaths = kills.filter(({ killed }) => killed).length
    const what =
      kills.length === 0
        ? counted(checks.length, 'check')
        : `${counted(deaths, 'kill')}, all recovered`
    await output.line(output.bold(`passed: ${what}`))
  }
  if (passed) return
  const problem = failed[0]?.problem ?? lost[0]?.problem ?? ''
  const bad = failed.length + lost.length
  throw new CairnError(
    'unhealthy',
    `${bad} of ${checks.length + kills.length} failed: ${problem}`,
    {
      hint: 'Check the disk and its file system (`cairn doctor`, the system log) before you rely on it.',
    },
  )
}

import { CairnError } from '../../errors.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { writeBundle } from '../doctor/bundle.ts'
import type { CheckResult } from '../doctor/check.ts'
import { checkMachine } from '../doctor/machine.ts'
import { checkStore } from '../doctor/store.ts'
import { counted } from '../format.ts'
import type { Output } from '../output.ts'

export const doctor: CommandSpec = {
  examples: [
    ['cairn doctor', 'each check and a verdict; exit code 18 when something is wrong'],
    ['cairn doctor --json', 'for monitoring'],
    ['cairn doctor --bundle support.json', 'what a support request needs, without secrets'],
  ],
  define: (command) =>
    command
      .option('--bundle <file>', 'write versions, settings, checks and status to a file')
      .option('--force', 'replace the file if it is there'),
  run: async (context) => {
    const { config, options, output } = context
    const checks: CheckResult[] = []
    const report = async (found: CheckResult): Promise<void> => {
      const result = redacted(found, output)
      checks.push(result)
      if (!output.json) await printCheck(result, output)
    }
    for (const result of await checkMachine(config, Date.now())) await report(result)
    const status = await checkStore(context, report)
    const bundle = options.text('--bundle')
    if (bundle !== undefined) await writeBundle(bundle, context, checks, status)
    await printVerdict(context, checks)
  },
}

function redacted(result: CheckResult, { redact }: Output): CheckResult {
  const { message, hint } = result
  return {
    ...result,
    message: redact(message),
    ...(hint === undefined ? {} : { hint: redact(hint) }),
  }
}

async function printCheck(
  { name, status, message, hint }: CheckResult,
  output: Output,
): Promise<void> {
  const marks = {
    ok: output.green('ok     '),
    warning: output.yellow('warning'),
    failed: output.red('FAILED '),
    skipped: 'skipped',
  }
  await output.line(`${marks[status]}  ${name}: ${message}`)
  if (hint !== undefined) await output.line(`         ${hint}`)
  await output.flush()
}

async function printVerdict(
  { output }: CommandContext,
  checks: readonly CheckResult[],
): Promise<void> {
  const failures = checks.filter(({ status }) => status === 'failed')
  const warnings = checks.filter(({ status }) => status === 'warning').length
  const healthy = failures.length === 0
  if (output.json) await output.document({ healthy, warnings, failures: failures.length, checks })
  else if (healthy) await output.line(output.bold(`healthy, ${counted(warnings, 'warning')}`))
  const [first] = failures
  if (first === undefined) return
  throw new CairnError('unhealthy', `${failures.length} of ${checks.length} checks failed.`, {
    hint: first.hint ?? `See "${first.name}" above.`,
  })
}

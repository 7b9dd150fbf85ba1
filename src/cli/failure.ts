/** How a failure is told: a sentence and a hint, or with --json one line of JSON, both on stderr. */
import { CommanderError } from 'commander'
import { CairnError, toCairnError } from '../errors.ts'
import type { Output } from './output.ts'

type Hints = Readonly<Partial<Record<CairnError['code'], string>>>

/** What the command line knows better than the engine. */
const BETTER: Hints = {
  store_not_found: '`cairn init` makes one; `cairn config` shows where the name comes from.',
}

/** For errors that come without a hint. */
const FALLBACK: Hints = {
  aborted: 'What was acknowledged is kept, nothing was left half done; run the command again.',
  internal:
    'This may be a fault of Cairn: `cairn doctor --bundle FILE` collects what a report needs.',
}

export function reportFailure(error: CairnError, output: Output): void {
  const { code, message } = error
  const hint =
    BETTER[code] ??
    error.hint ??
    FALLBACK[code] ??
    '`cairn doctor` checks the store and this machine.'
  if (output.json) {
    output.error(JSON.stringify({ exit_error: { code, message, hint } }))
    return
  }
  output.error(`${output.red('error:')} ${message}`)
  output.error(`  hint: ${hint}`)
}

/** What commander refused, as one of our errors; undefined when it only gave help or the version. */
function usageError(error: CommanderError, command: string | undefined): CairnError | undefined {
  if (error.exitCode === 0) return undefined
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n')
  const suggestion = rest.join(' ').replace(/^\((.*)\)$/, '$1 ')
  const help =
    command === undefined
      ? '`cairn --help` lists the commands.'
      : `See \`cairn ${command} --help\`.`
  return new CairnError(
    'usage',
    `${first.slice(0, 1).toUpperCase()}${first.slice(1).replace(/\.$/, '')}.`,
    {
      hint: `${suggestion}${help}`,
    },
  )
}

export function failureOf(error: unknown, command: string | undefined): CairnError | undefined {
  return error instanceof CommanderError ? usageError(error, command) : toCairnError(error)
}

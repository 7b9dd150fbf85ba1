/** Asking before something is done that people may regret. */
import { createInterface } from 'node:readline/promises'
import { CairnError } from '../errors.ts'
import type { CommandContext } from './command.ts'

export async function confirm(
  { output, progress, signal }: CommandContext,
  question: string,
): Promise<void> {
  if (!process.stdin.isTTY || output.json) {
    throw new CairnError('usage', 'This has to be confirmed, and there is nobody to ask.', {
      hint: 'Add --yes to go on without a question, or --dry-run to see what would happen.',
    })
  }
  progress.pause()
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal })
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    lines.close()
  }
  throw new CairnError('aborted', 'Nothing was changed.', { hint: 'Answer y to go on.' })
}

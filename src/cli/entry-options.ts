/** What put and append have in common: the options of an entry, and how the result is told. */
import type { Command } from 'commander'
import type { Appended } from '../engine/judge-group.ts'
import type { AppendEntry } from '../engine/draft.ts'
import type { CidBytes } from '../model/cid.ts'
import { printable } from './format.ts'
import { printOrNull } from '../model/entry-record.ts'
import type { Options } from './options.ts'
import type { Output } from './output.ts'

export function addEntryOptions(command: Command): void {
  command
    .option(
      '--ver <n>',
      'its version (the next one): the same version and content again is no error',
    )
    .option('--ts <time>', 'when it was made (now): RFC 3339 or milliseconds')
    .option('--exp <time>', 'when it stops counting (never; a deletion after 30 days)')
    .option('--expect-ver <n>', 'only if this is the current version; 0: only if there is none')
    .option('--expect-tip <cid>', 'only if this is the current tip; "none": only if there is none')
}

export function entryOptions(options: Options): Omit<AppendEntry, 'pi' | 'tip'> {
  const expectTip = options.text('--expect-tip')
  return {
    ver: options.count('--ver', 1),
    ts: options.time('--ts'),
    exp: options.time('--exp'),
    expectVer: options.count('--expect-ver'),
    expectTip: expectTip === 'none' ? null : expectTip,
  }
}

export async function printWritten(
  output: Output,
  { pi, ver, position, status }: Appended,
  tip: CidBytes | null,
): Promise<void> {
  const cid = printOrNull(tip)
  if (output.json) await output.document({ status, pi, ver, tip: cid, position })
  else await output.line([printable(pi), ver, cid ?? '-'].join('\t'))
}

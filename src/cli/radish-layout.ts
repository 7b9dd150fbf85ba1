/** `--layout`, and the options that go with it alone. */
import { CairnError } from '../errors.ts'
import type { Options } from './options.ts'

/** Whether `--layout radish` is asked for; `flags` go with that alone. */
export function isRadish(options: Options, ...flags: readonly string[]): boolean {
  const layout = options.text('--layout')
  if (layout === 'radish') return true
  if (layout !== undefined) {
    throw new CairnError('usage', `There is no layout "${layout.slice(0, 60)}".`, {
      hint: 'There is one: radish. Without it the lines are NDJSON.',
    })
  }
  const strange = flags.find((flag) => options.has(flag))
  if (strange === undefined) return false
  throw new CairnError('usage', `${strange} goes with --layout radish only.`, {
    hint: 'Leave it out, or add --layout radish.',
  })
}

/** The long run, with tokens and with `--open` without; exit code 1 if anything was found. */
import { parseArgs } from 'node:util'
import { runSchemathesis } from './schemathesis.ts'
import { openWorld } from './world.ts'

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    examples: { type: 'string', default: '200' },
    only: { type: 'string', multiple: true, default: [] },
    open: { type: 'boolean', default: false },
  },
})

const seed = Number(flags.seed)
const examples = Number(flags.examples)
if (!Number.isSafeInteger(seed) || !(examples > 0))
  throw new Error('usage: contract [--seed N] [--examples N] [--only OPERATION_ID] [--open]')

for (const withTokens of flags.open ? [true, false] : [true]) {
  process.stdout.write(`--- ${withTokens ? 'with a token' : 'open'}, seed ${seed}\n`)
  const world = await openWorld({ withTokens })
  try {
    const onText = (text: string): void => void process.stdout.write(text)
    const { passed } = await runSchemathesis(world, { seed, examples, only: flags.only, onText })
    for (const line of world.errors) process.stdout.write(`logged: ${line.slice(0, 500)}\n`)
    if (!passed) process.exitCode = 1
  } finally {
    await world.close()
  }
}

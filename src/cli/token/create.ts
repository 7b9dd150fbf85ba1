import { CairnError } from '../../errors.ts'
import { parseDatasetName } from '../../engine/genesis.ts'
import { isRight, RIGHTS } from '../../service/access/rights.ts'
import { createToken } from '../../service/access/token-file.ts'
import type { CommandSpec } from '../command.ts'
import { collect } from '../options.ts'

const NAME = /^[\w.@-]{1,64}$/

export const create: CommandSpec = {
  examples: [
    ['cairn token create app --right append', 'for a program that writes'],
    ['cairn token create viewer --only scenes', 'reads one dataset'],
  ],
  writes: true,
  define: (command) =>
    command
      .argument('<name>', 'what for, up to 64 letters, digits, or one of . _ @ -')
      .option('--right <right>', `${RIGHTS.join(', ')}; each contains those before it`, 'read')
      .option('--only <dataset>', 'a dataset that it is for; may be repeated', collect),
  run: async ({ args, options, config, output }) => {
    const [name = ''] = args
    const right = options.text('--right') ?? 'read'
    if (!NAME.test(name)) {
      throw new CairnError('usage', 'This cannot be the name of a token.', {
        hint: 'Use up to 64 letters, digits, or one of . _ @ -.',
      })
    }
    if (!isRight(right)) {
      throw new CairnError('usage', `There is no right "${right.slice(0, 100)}".`, {
        hint: `Give one of ${RIGHTS.join(', ')}.`,
      })
    }
    const datasets = options.texts('--only')?.map((only) => parseDatasetName(only))
    const { tokens_file: path } = config.values
    const { token, record } = await createToken(path, { name, right, datasets })
    const { id, created } = record
    if (output.json) {
      return output.document({ token, id, name, right, datasets: datasets ?? null, created })
    }
    await output.line(token)
    await output.flush()
    output.note(`the token "${name}" (${id}) has the right ${right}; it is not shown again`)
  },
}

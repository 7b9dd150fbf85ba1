import { readTokens } from '../../service/access/token-file.ts'
import type { CommandSpec } from '../command.ts'

export const list: CommandSpec = {
  examples: [['cairn token list', 'one a line: id, right, name, when it was made, its datasets']],
  define: () => {},
  run: async ({ config, output }) => {
    const records = await readTokens(config.values.tokens_file)
    if (output.json) {
      const tokens = records.map(({ id, name, right, datasets, created }) => ({
        id,
        name,
        right,
        datasets: datasets ?? null,
        created,
      }))
      return output.document({ tokens })
    }
    for (const { id, name, right, datasets, created } of records) {
      const only = datasets === undefined ? '' : `  only ${datasets.join(', ')}`
      await output.line(`${id}  ${right.padEnd(6)}  ${name}  ${created}${only}`)
    }
  },
}

import { revokeToken } from '../../service/access/token-file.ts'
import type { CommandSpec } from '../command.ts'

export const revoke: CommandSpec = {
  examples: [['cairn token revoke app', 'by its name, or the id that `list` shows']],
  writes: true,
  define: (command) => command.argument('<name>', 'the name or the id of a token'),
  run: async ({ args, config, output }) => {
    const [which = ''] = args
    const { id, name } = await revokeToken(config.values.tokens_file, which)
    if (output.json) return output.document({ status: 'revoked', id, name })
    await output.line(`revoked: ${name} (${id})`)
  },
}

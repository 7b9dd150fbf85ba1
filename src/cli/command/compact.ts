import { withStore, type CommandSpec } from '../command.ts'
import { formatBytes } from '../format.ts'

export const compact: CommandSpec = {
  examples: [['cairn compact', 'give the space of what was freed back to the system']],
  writes: true,
  define: (command) => command,
  run: async (context) => {
    const { output, progress, signal } = context
    await withStore(context, false, async (cairn) => {
      progress.update({ step: 'compact', done: 0 })
      const { before, after } = await cairn.compact({ signal })
      const record = { status: 'compacted', before: before ?? null, after: after ?? null }
      if (output.json) return output.document(record)
      if (before !== undefined && after !== undefined)
        output.note(`the store has ${formatBytes(after)}, before ${formatBytes(before)}`)
      await output.line(cairn.location)
    })
  },
}

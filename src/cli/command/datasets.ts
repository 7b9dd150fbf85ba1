import { withStore, type CommandSpec } from '../command.ts'

export const datasets: CommandSpec = {
  examples: [
    ['cairn datasets', 'one name a line'],
    ['cairn datasets --json', '{"datasets":["main"]}'],
  ],
  define: () => {},
  run: async (context) => {
    const { output } = context
    await withStore(context, false, async (cairn) => {
      const names = await cairn.datasets()
      if (output.json) return output.document({ datasets: names })
      for (const name of names) await output.line(name)
    })
  },
}

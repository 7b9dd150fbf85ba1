/** What docs/CLI.md has from the definitions of the commands; the prose between it is written by hand. */
import { synopsis, withTools } from './commands.mjs'
import { code, fillMarks, marksOf, table } from './text.mjs'

const EVERY = 'every command'

export function cliPage(page, { commands, options }) {
  const all = new Map(commands.flatMap(withTools).map((one) => [one.path.join(' '), one]))
  const marked = marksOf(page).filter((name) => name !== EVERY)
  const missing = [...all.keys()].filter((name) => !marked.includes(name))
  if (missing.length > 0)
    throw new Error(`docs/CLI.md has no place for: ${missing.join(', ')}. Give each a section with
<!-- made: NAME -->
<!-- /made -->`)
  return fillMarks(page, (name, section) => {
    if (name === EVERY) return optionTable([], options)
    const command = all.get(name)
    if (command === undefined) throw new Error(`docs/CLI.md: there is no command "${name}"`)
    return commandText(command, section)
  })
}

function commandText(command, section) {
  const { path, arguments: args, options, examples } = command
  // A synopsis that is written by hand says more: what excludes what.
  const told = section.includes(`\`cairn ${path.join(' ')}`)
  return [
    told ? '' : code(synopsis(command)),
    optionTable(args, options),
    examples.length === 0 ? '' : exampleBlock(examples),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function optionTable(args, options) {
  const rows = [
    ...args.filter(({ what }) => what).map(({ name, what }) => [code(name), what]),
    ...options.map(({ flags, what }) => [code(flags), what]),
  ]
  const head = args.some(({ what }) => what) ? 'argument, option' : 'option'
  return rows.length === 0 ? '' : table([head, 'what'], rows)
}

function exampleBlock(examples) {
  const width = Math.max(...examples.map(({ line }) => line.length))
  const lines = examples.map(({ line, what }) => `${line.padEnd(width)}  # ${what}`)
  return `\`\`\`sh\n${lines.join('\n')}\n\`\`\``
}

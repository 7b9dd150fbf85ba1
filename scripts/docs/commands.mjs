/** The command line as plain records, from the same definitions that the program itself reads. */

/** `load` gives a module of the built code by its path. */
export async function commandRecords(load) {
  const { buildProgram, defineCommand } = await load('cli/program.js')
  const program = buildProgram(() => Promise.resolve())
  const describe = async (command, before) => {
    const spec = await defineCommand(command)
    const path = [...before, command.name()]
    const tools = []
    for (const tool of command.commands) tools.push(await describe(tool, path))
    return {
      path,
      alias: command.alias(),
      summary: command.summary(),
      group: command.helpGroup(),
      arguments: command.registeredArguments.map(argumentRecord),
      options: command.options.map(optionRecord),
      examples: (spec?.examples ?? []).map(([line, what]) => ({ line, what })),
      tools,
    }
  }
  const commands = []
  for (const command of program.commands)
    if (command.name() !== 'help') commands.push(await describe(command, []))
  return {
    summary: program.description(),
    options: [...program.options.map(optionRecord), { flags: '-h, --help', what: 'print help' }],
    commands,
  }
}

const optionRecord = ({ flags, description }) => ({ flags, what: description })

function argumentRecord(argument) {
  const name = argument.name().toUpperCase()
  const shown = argument.variadic ? `${name}...` : name
  return { name, shown: argument.required ? shown : `[${shown}]`, what: argument.description }
}

/** A command and the commands within it. */
export const withTools = (command) => [command, ...command.tools.flatMap(withTools)]

export function synopsis({ path, arguments: args, options, tools }) {
  const words = tools.length > 0 ? ['TOOL'] : args.map(({ shown }) => shown)
  return ['cairn', ...path, ...words, ...(options.length > 0 ? ['[options]'] : [])].join(' ')
}

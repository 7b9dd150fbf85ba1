/** The commander program: global options, and commands that are defined when they are called. */
import { Command, Option } from 'commander'
import { SETTINGS, SETTING_NAMES, type SettingName } from '../config/schema.ts'
import type { CommandSpec } from './command.ts'
import { COMMANDS, type CommandEntry } from './commands.ts'
import { attribute } from './options.ts'
import { VERSION } from './version.ts'

/** A command as it was called. */
export interface Call {
  readonly name: string
  readonly spec: CommandSpec
  readonly args: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
}

export type RunCall = (call: Call) => Promise<void>

export function buildProgram(run: RunCall): Command {
  const program = quiet(new Command('cairn'))
    .description(
      'Content-addressed snapshots of keyed entities, on an embedded store or an IPFS node.',
    )
    .usage('COMMAND [options]')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: true })
  addGlobalOptions(program)
  const defined = new Map<Command, CommandSpec>()
  for (const entry of COMMANDS) program.addCommand(placeholder(entry))
  program.addCommand(helpCommand(program))
  program.addHelpText('after', QUICK_START)
  program.hook('preSubcommand', async (_, command) => {
    if (defined.has(command)) return
    const spec = await defineCommand(command)
    if (spec === undefined) return
    defined.set(command, spec)
    command.action(() =>
      run({ name: command.name(), spec, args: command.args, options: command.optsWithGlobals() }),
    )
  })
  return program
}

const QUICK_START = `
Begin with:
  cairn put greeting --value '{"hello":"world"}'
  cairn cat greeting
  cairn build-snapshot
  cairn list

\`cairn COMMAND --help\` shows examples. docs/CLI.md has every output in JSON and the exit codes.`

/** Commander neither prints nor ends the process: main does. */
function quiet(command: Command): Command {
  return command.exitOverride().configureOutput({ outputError: () => {} })
}

function placeholder({ name, group, summary }: CommandEntry): Command {
  return quiet(new Command(name))
    .summary(summary)
    .description(`${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`)
    .helpGroup(group)
    .helpOption('-h, --help', 'print help')
    .allowExcessArguments(false)
    .configureHelp({ showGlobalOptions: true })
}

/** Gives a placeholder its arguments, options and examples. */
export async function defineCommand(command: Command): Promise<CommandSpec | undefined> {
  const entry = COMMANDS.find(({ name }) => name === command.name())
  const spec = await entry?.load()
  if (spec === undefined) return undefined
  spec.define(command)
  for (const name of SETTING_NAMES) {
    if (SETTINGS[name].commands?.includes(command.name()) === true) addSetting(command, name)
  }
  const width = Math.max(...spec.examples.map(([line]) => line.length))
  const examples = spec.examples.map(([line, what]) => `  ${line.padEnd(width)}  # ${what}`)
  command.addHelpText('before', `Examples:\n${examples.join('\n')}\n`)
  return spec
}

function helpCommand(program: Command): Command {
  return quiet(new Command('help'))
    .summary('help on a command')
    .helpGroup('Look after it:')
    .argument('[command]')
    .action(async (name: string | undefined) => {
      const command = program.commands.find((one) => one.name() === name)
      if (name === undefined) program.help()
      if (command === undefined) program.error(`error: unknown command '${name}'`)
      await defineCommand(command)
      command.help()
    })
}

function addGlobalOptions(program: Command): void {
  for (const name of SETTING_NAMES) {
    if (SETTINGS[name].commands === undefined) addSetting(program, name)
  }
  program
    .option('--config <file>', 'the config file (cairn.config.json if it is there)')
    .option('--json', 'print results and errors as JSON')
    .option('-q, --quiet', 'print nothing but results and errors')
    .addOption(
      new Option('-v, --verbose', 'log what is done; twice for more')
        .argParser(countUp)
        .default(0)
        .preset(''),
    )
    .option('--no-progress', 'show no progress')
    .option('--no-color', 'use no colors (nor with NO_COLOR set)')
}

/** How often a switch was given. */
const countUp = (_: string, before: number): number => before + 1

function addSetting(command: Command, name: SettingName): void {
  const { flag, description } = SETTINGS[name]
  if (flag !== undefined) command.option(flag, description)
}

/** The texts that settings were given as flags. */
export function settingFlags(
  options: Readonly<Record<string, unknown>>,
): Readonly<Partial<Record<SettingName, string>>> {
  const flags: Partial<Record<SettingName, string>> = {}
  for (const name of SETTING_NAMES) {
    const long = /--[a-z-]+/.exec(SETTINGS[name].flag ?? '')?.[0]
    const value = long === undefined ? undefined : options[attribute(long)]
    if (typeof value === 'string') flags[name] = value
  }
  const verbose = options['verbose']
  if (typeof verbose === 'number' && verbose > 0) flags.log_level ??= verbose > 1 ? 'debug' : 'info'
  return flags
}

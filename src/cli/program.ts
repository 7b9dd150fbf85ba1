/** The commander program: global options, and commands that are defined when they are called. */
import { Command, Option } from 'commander'
import { SETTINGS, SETTING_NAMES, type SettingName } from '../config/schema.ts'
import type { CommandEntry, CommandSpec } from './command.ts'
import { COMMANDS } from './commands.ts'
import { attribute } from './options.ts'
import { VERSION } from '../version.ts'

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
  for (const entry of COMMANDS) program.addCommand(placeholder(entry))
  program.addCommand(helpCommand(program))
  program.addHelpText('after', QUICK_START)
  defineWhenCalled(program, run)
  return program
}

/** The commands of `parent` are defined when they are called, and so are the tools of one that has them. */
function defineWhenCalled(parent: Command, run: RunCall): void {
  const defined = new Set<Command>()
  parent.hook('preSubcommand', async (_, command) => {
    if (defined.has(command)) return
    const spec = await defineCommand(command)
    if (spec === undefined) return
    defined.add(command)
    if (spec.tools !== undefined) defineWhenCalled(command, run)
    command.action(() =>
      run({
        name: pathOf(command).join(' '),
        spec,
        args: command.args,
        options: command.optsWithGlobals(),
      }),
    )
  })
}

/** The names that lead to a command, without the program's. */
function pathOf(command: Command): string[] {
  const { parent } = command
  return parent === null ? [] : [...pathOf(parent), command.name()]
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

function placeholder({ name, alias, group, summary }: CommandEntry): Command {
  const command = quiet(new Command(name))
    .summary(summary)
    .description(`${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`)
    .helpGroup(group)
    .helpOption('-h, --help', 'print help')
    .allowExcessArguments(false)
    .configureHelp({ showGlobalOptions: true })
  return alias === undefined ? command : command.alias(alias)
}

/** Gives a placeholder its arguments, options and examples. */
export async function defineCommand(command: Command): Promise<CommandSpec | undefined> {
  const path = pathOf(command)
  const spec = await findSpec(path)
  if (spec === undefined) return undefined
  spec.define(command)
  for (const entry of spec.tools ?? []) command.addCommand(placeholder(entry))
  for (const name of SETTING_NAMES) {
    if (SETTINGS[name].commands?.includes(path.join(' ')) === true) addSetting(command, name)
  }
  const width = Math.max(...spec.examples.map(([line]) => line.length))
  const examples = spec.examples.map(([line, what]) => `  ${line.padEnd(width)}  # ${what}`)
  command.addHelpText('before', `Examples:\n${examples.join('\n')}\n`)
  return spec
}

async function findSpec(path: readonly string[]): Promise<CommandSpec | undefined> {
  let spec: CommandSpec | undefined
  let entries: readonly CommandEntry[] = COMMANDS
  for (const part of path) {
    spec = await entries.find(({ name }) => name === part)?.load()
    entries = spec?.tools ?? []
  }
  return spec
}

function helpCommand(program: Command): Command {
  return quiet(new Command('help'))
    .summary('help on a command')
    .helpGroup('Look after it:')
    .argument('[command...]')
    .action(async (names: readonly string[]) => {
      let command = program
      for (const name of names) {
        const next = command.commands.find((one) => [one.name(), ...one.aliases()].includes(name))
        if (next === undefined) program.error(`error: unknown command '${names.join(' ')}'`)
        await defineCommand(next)
        command = next
      }
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
    if (value === true) flags[name] = 'yes'
  }
  const verbose = options['verbose']
  if (typeof verbose === 'number' && verbose > 0) flags.log_level ??= verbose > 1 ? 'debug' : 'info'
  return flags
}

/**
 * The entry of `bin/cairn`: reads the command line, runs one command, tells how it ended. Sets
 * `process.exitCode`; the process ends by itself when nothing is open any more.
 */
import { setMaxListeners } from 'node:events'
import { resolveConfig, type Config } from '../config/resolve.ts'
import { redactor } from '../config/secrets.ts'
import { Options } from './options.ts'
import { failureOf, reportFailure } from './failure.ts'
import { INTERRUPT_EXIT, watchInterrupts } from './interrupt.ts'
import { createLog } from './log.ts'
import { Output } from './output.ts'
import { COMMANDS } from './commands.ts'
import { buildProgram, settingFlags, type Call } from './program.ts'
import { ProgressReporter } from './progress.ts'

const USAGE_EXIT = 2

export async function main(args: readonly string[]): Promise<void> {
  // Folders are made 0700 and files 0600, whoever makes them.
  process.umask(0o077)
  const stop = new AbortController()
  // Each request under way listens; many at once are no leak, and Node would warn of one.
  setMaxListeners(0, stop.signal)
  const end = { pipeClosed: false, stops: true }
  const interrupts = watchInterrupts((reason) => stop.abort(reason))
  const output = outputFor(args, () => {
    end.pipeClosed = true
    if (end.stops) stop.abort('the reader of the output has gone')
  })
  let called: string | undefined
  const program = buildProgram(async (call) => {
    called = call.name
    end.stops = call.spec.writes !== true
    await runCall(call, output, stop.signal)
  })
  try {
    if (args.length === 0) {
      output.error(program.helpInformation())
      process.exitCode = USAGE_EXIT
      return
    }
    await program.parseAsync(args, { from: 'user' })
    await output.flush()
  } catch (error) {
    const failure = failureOf(error, called ?? commandNamed(args))
    if (failure === undefined || (failure.code === 'aborted' && end.pipeClosed)) return
    await output.flush().catch(() => undefined)
    reportFailure(failure, output)
    const interrupt = failure.code === 'aborted' ? interrupts.received() : undefined
    process.exitCode = interrupt === undefined ? failure.exitCode : INTERRUPT_EXIT[interrupt]
  } finally {
    interrupts.stop()
  }
}

async function runCall(
  { spec, args, options }: Call,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  output.quiet = options['quiet'] === true
  const configFile = options['config']
  const reloadConfig = (): Promise<Config> =>
    resolveConfig({
      flags: settingFlags(options),
      configFile: typeof configFile === 'string' ? configFile : undefined,
      env: process.env,
      cwd: process.cwd(),
    })
  const config = await reloadConfig()
  output.redact = redactor(config.values)
  const progress = new ProgressReporter(output, options['progress'] !== false)
  const log = createLog(config.values.log_level, output)
  try {
    await spec.run({
      config,
      reloadConfig,
      output,
      progress,
      log,
      signal,
      args,
      options: new Options(options),
    })
    await output.flush()
    progress.done()
  } finally {
    progress.end()
  }
}

/** The output has to be there before the command line is read, to tell what is wrong with it. */
function outputFor(args: readonly string[], onClosed: () => void): Output {
  const end = args.indexOf('--')
  const flags = new Set(end < 0 ? args : args.slice(0, end))
  const wanted = !flags.has('--no-color') && (process.env['NO_COLOR'] ?? '') === ''
  return new Output({
    stdout: process.stdout,
    stderr: process.stderr,
    json: flags.has('--json'),
    quiet: flags.has('--quiet') || flags.has('-q'),
    color: wanted && process.stderr.isTTY && process.stdout.isTTY,
    onClosed,
  })
}

const commandNamed = (args: readonly string[]): string | undefined =>
  args.find((one) => COMMANDS.some(({ name }) => name === one))

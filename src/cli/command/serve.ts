import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../../config/resolve.ts'
import type { LogLevel } from '../../config/schema.ts'
import { redactor } from '../../config/secrets.ts'
import { CairnError, toCairnError } from '../../errors.ts'
import type { ServiceLog } from '../../service/run/log.ts'
import type { Started } from '../../service/run/start.ts'
import type { CommandContext, CommandSpec } from '../command.ts'

/** What a process that fails gets to save what it has. */
const SAVE_LAST_MS = 5000
/** After the last word: whatever still keeps the process alive is left behind. */
const LINGER_MS = 500

export const serve: CommandSpec = {
  examples: [
    ['cairn serve', 'on http://127.0.0.1:3000, for programs on this machine'],
    [
      'cairn serve --port 8080 --save-interval 120',
      'a snapshot every two minutes if anything is new',
    ],
    [
      'cairn serve --host 0.0.0.0 --behind-proxy',
      'for others, behind a proxy with TLS; needs a token',
    ],
  ],
  // A reader of its output that goes away does not stop it.
  writes: true,
  define: () => {},
  run: async (context) => {
    const { output, signal } = context
    const { startService } = await import('../../service/run/start.ts')
    const current = { config: context.config }
    const log = await openServiceLog(context, current)
    const started = await startService({ config: context.config, log, signal })
    const forget = listenToProcess(context, started, log, current)
    try {
      if (output.json) await output.document({ url: started.url })
      else await output.line(`cairn listens on ${started.url}`)
      await output.flush()
      await aborted(signal)
      await end(started, String(signal.reason))
    } finally {
      forget()
      log.close()
    }
  },
}

async function openServiceLog(
  { config: { values } }: CommandContext,
  current: { readonly config: Config },
): Promise<ServiceLog> {
  const { openLog } = await import('../../service/run/log.ts')
  const { log_file: file, log_format: format } = values
  const terminal = file === null && process.stderr.isTTY
  const pretty = format === 'auto' ? terminal : format === 'pretty'
  return openLog({
    level: levelOf(current.config),
    format: pretty ? 'pretty' : 'json',
    color: terminal && (process.env['NO_COLOR'] ?? '') === '',
    to: file === null ? { write: (line) => process.stderr.write(line) } : { file },
    redact: redactorOf(current),
  })
}

/** A service tells what it does unless told otherwise. */
function levelOf({ values, origins }: Config): LogLevel {
  return origins.log_level === 'default' ? 'info' : values.log_level
}

/** Made anew when the settings have changed; the secrets of those before stay masked, too. */
function redactorOf(current: { readonly config: Config }): (line: string) => string {
  let config: Config | undefined
  let masks: ((line: string) => string)[] = []
  return (line) => {
    if (config !== current.config) {
      config = current.config
      masks = [...masks.slice(-1), redactor(config.values)]
    }
    return masks.reduce((so, mask) => mask(so), line)
  }
}

/** SIGHUP takes new settings; what nobody caught ends the process, after a last attempt to save. */
function listenToProcess(
  { reloadConfig }: CommandContext,
  started: Started,
  log: ServiceLog,
  current: { config: Config },
): () => void {
  const onHangup = (): void => {
    log.reopen()
    reloadConfig().then(
      (config) => {
        current.config = config
        log.setLevel(levelOf(config))
        started.reload(config)
      },
      (error: unknown) => log.error('settings.refused', toCairnError(error).toJSON()),
    )
  }
  let fatal = false
  const onFatal = (error: unknown): void => {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    log.error('service.fatal', { message: `Fatal error: ${message}`, stack })
    if (fatal) return
    fatal = true
    const saved = started.saveLast('fatal error', SAVE_LAST_MS)
    void Promise.race([saved, delay(SAVE_LAST_MS + LINGER_MS)])
      .catch((cause: unknown) => log.error('service.unsaved', toCairnError(cause).toJSON()))
      .finally(() => process.exit(1))
  }
  process.on('SIGHUP', onHangup)
  process.on('uncaughtException', onFatal)
  process.on('unhandledRejection', onFatal)
  return () => {
    process.removeListener('SIGHUP', onHangup)
    process.removeListener('uncaughtException', onFatal)
    process.removeListener('unhandledRejection', onFatal)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    // A signal alone keeps no process alive; the server does, but for its last moment.
  })
}

async function end(started: Started, reason: string): Promise<void> {
  const { left } = await started.stop(reason)
  setTimeout(() => process.exit(), LINGER_MS).unref()
  if (left.length === 0) return
  process.exitCode = 1
  throw new CairnError('closed', `The service did not end in time: ${left.join('; ')}.`, {
    hint: 'What was acknowledged is kept. A longer --shutdown-deadline lets more end.',
  })
}

import { setTimeout as delay } from 'node:timers/promises'
import { CairnError } from '../../errors.ts'
import { durationOption } from '../backup-options.ts'
import { withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { isUtf8 } from '../locale.ts'
import type { Options } from '../options.ts'
import { addressOf } from '../../remote/address.ts'
import { tokenOf } from '../service-token.ts'
import { NO_HISTORY, remember } from '../top/history.ts'
import type { Source } from '../top/look.ts'
import { topRecord } from '../top/record.ts'
import { renderTop } from '../top/render.ts'
import { runLive } from '../top/run.ts'
import { openScreen } from '../top/screen.ts'

const EVERY_MS = 2000
const LEAST_EVERY_MS = 200
/** Findings, backups and what runs next are not asked for more often. */
const SLOW_MS = 10_000
/** Between the two looks that rates are made of. */
const ONCE_MS = 1000
const WIDTH = 100

export const top: CommandSpec = {
  examples: [
    ['cairn top', 'of the configured store'],
    ['cairn top --url http://127.0.0.1:3000', 'of a service; its token in CAIRN_TOKEN'],
    ['cairn top --once --json', 'one look, for a program'],
  ],
  define: (command) =>
    command
      .option('--url <url>', 'of a service; not given: the configured store')
      .option('--token-file <file>', 'the token for the service (CAIRN_TOKEN)')
      .option('--every <time>', 'how often to look', '2s')
      .option('--once', 'print once what is seen and end; as without a terminal'),
  run: async (context) => {
    const { options, config } = context
    const everyMs = everyOf(options)
    const slowMs = Math.max(SLOW_MS, everyMs)
    const url = options.text('--url')
    if (url !== undefined) {
      const { serviceSource } = await import('../top/service-source.ts')
      const token = await tokenOf(options)
      await show(
        context,
        serviceSource({ url: addressOf(url), token, slowMs, now: Date.now }),
        everyMs,
      )
      return
    }
    const { storeSource } = await import('../top/store-source.ts')
    await withStore(context, false, (cairn) =>
      show(context, storeSource({ cairn, config, slowMs, now: Date.now }), everyMs),
    )
  },
}

function everyOf(options: Options): number {
  const ms = durationOption(options, '--every') ?? EVERY_MS
  if (ms >= LEAST_EVERY_MS) return ms
  throw new CairnError('usage', '--every is too short.', { hint: 'Give at least 200ms.' })
}

async function show(context: CommandContext, source: Source, everyMs: number): Promise<void> {
  const { options, output, config, signal } = context
  const { dataset } = config.values
  const { stdin, stdout } = process
  const isScreen = stdout.isTTY && process.env['TERM'] !== 'dumb'
  if (options.switch('--once') || output.json || !isScreen) return printOnce(context, source)
  await runLive({
    source,
    dataset,
    everyMs,
    style: { utf8: isUtf8(), color: output.color },
    open: (events) => openScreen({ stdin, stdout }, events),
    signal,
    now: Date.now,
  })
}

async function printOnce(
  { config, output, signal }: CommandContext,
  source: Source,
): Promise<void> {
  const { dataset } = config.values
  const first = await source.look(dataset, signal)
  await delay(ONCE_MS, undefined, { signal })
  const look = await source.look(dataset, signal)
  const history = remember(remember(NO_HISTORY, first), look)
  if (output.json) return output.document(topRecord(source.name, look, history))
  const state = {
    source: source.name,
    dataset,
    now: look.at,
    look,
    history,
    trouble: undefined,
    paused: false,
    help: false,
  }
  const columns = output.stdoutColumns ?? WIDTH
  const style = { columns, rows: Infinity, utf8: isUtf8(), color: output.color }
  for (const line of renderTop(state, style)) await output.line(line)
}

/**
 * Autosave: when a session saves by itself. By the clock, whether or not anybody is connected; when a user
 * goes; when the process is told to end; and when it is about to die of an error.
 */
import type { Logger } from '../engine/logger.ts'
import { CairnError } from '../errors.ts'
import { AUTO_SAVE, type SaveReport } from './saver.ts'

export interface AutosaveOptions {
  /** Milliseconds; 120,000 unless given, 0: not by the clock. */
  readonly every?: number | undefined
  /** When a user disconnects; true unless given. */
  readonly onDisconnect?: boolean | undefined
  /** At SIGTERM and SIGINT, after which the process ends if nobody else listens to them; true unless given. */
  readonly onShutdown?: boolean | undefined
  /** At an error that nobody caught, after which the process ends; true unless given. */
  readonly onError?: boolean | undefined
  /** Milliseconds between backups, of which one is made only if something was saved since; 300,000 unless given, 0: none. */
  readonly backupEvery?: number | undefined
}

/** What it does when its moment comes. */
export interface AutosaveTarget {
  readonly save: (reason: string) => Promise<SaveReport>
  /** Makes a backup, and lets old snapshots go. */
  readonly backup: () => Promise<void>
  readonly shutdown: () => Promise<boolean>
  readonly log: Logger
}

export const EVERY_MS = 120_000
const BACKUP_EVERY_MS = 300_000
/** How long a process that is to end waits for its last save. */
const LAST_SAVE_MS = 30_000
/** A terminal and a supervisor may both tell of one end, some of them twice: that is no wish to end at once. */
const REPEAT_MS = 1000
const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** Until the answer is called. */
export function startAutosave(
  {
    every = EVERY_MS,
    onShutdown = true,
    onError = true,
    backupEvery = BACKUP_EVERY_MS,
  }: AutosaveOptions,
  target: AutosaveTarget,
): () => void {
  for (const ms of [every, backupEvery]) checkInterval(ms)
  const stops = [
    repeat(every, () => target.save(AUTO_SAVE)),
    repeat(backupEvery, target.backup),
    onShutdown ? listenToSignals(target) : undefined,
    onError ? listenToErrors(target) : undefined,
  ]
  return () => stops.forEach((stop) => stop?.())
}

/** A timer that is asked to wait for longer does not wait at all. */
const LONGEST_MS = 2 ** 31 - 1

function checkInterval(ms: number): void {
  if (ms >= 0 && ms <= LONGEST_MS) return
  throw new CairnError('usage', `An interval of ${ms} is not possible.`, {
    hint: 'Give milliseconds, up to 24 days; 0 for none.',
  })
}

/** What fails was logged by who did it; the next time comes all the same. */
function repeat(ms: number, run: () => Promise<unknown>): (() => void) | undefined {
  if (ms === 0) return undefined
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    void run()
      .catch(() => {})
      .finally(() => (busy = false))
  }, ms).unref()
  return () => clearInterval(timer)
}

/** The last saves of all sessions of this process: it ends when all are made. */
const lastSaves: Promise<boolean>[] = []

async function exitWhenSaved(code: number): Promise<void> {
  // Whoever else is to save is told in this turn.
  await new Promise((resolve) => setImmediate(resolve))
  const saved = await Promise.all(lastSaves)
  process.exit(saved.every(Boolean) ? code : 1)
}

/** Those of sessions that end at a signal; the process listens while there are any, or while they are ending. */
const shutdowns = new Set<AutosaveTarget['shutdown']>()
/** When the first signal came, while what it began goes on. */
let signalledAt: number | undefined

function listenToSignals({ shutdown }: AutosaveTarget): () => void {
  if (shutdowns.size === 0 && signalledAt === undefined)
    for (const signal of SIGNALS) process.on(signal, endAtSignal)
  shutdowns.add(shutdown)
  return () => {
    shutdowns.delete(shutdown)
    if (signalledAt === undefined) stopListening()
  }
}

function stopListening(): void {
  if (shutdowns.size > 0) return
  for (const signal of SIGNALS) process.removeListener(signal, endAtSignal)
}

function endAtSignal(signal: NodeJS.Signals): void {
  // Who else listens decides himself when the process ends.
  const alone = process.listenerCount(signal) === 1
  if (signalledAt !== undefined) {
    if (alone && performance.now() - signalledAt >= REPEAT_MS) endAtOnce(signal)
    return
  }
  signalledAt = performance.now()
  for (const shutdown of shutdowns) lastSaves.push(within(LAST_SAVE_MS, shutdown()))
  if (alone) void exitWhenSaved(0)
  else void Promise.all(lastSaves).then(goOn)
}

function goOn(): void {
  signalledAt = undefined
  stopListening()
}

/** As if nobody had ever listened. */
function endAtOnce(signal: NodeJS.Signals): void {
  for (const one of SIGNALS) process.removeListener(one, endAtSignal)
  process.kill(process.pid, signal)
}

function listenToErrors({ save, log }: AutosaveTarget): () => void {
  let dying = false
  const die = (error: unknown): void => {
    if (dying) return
    dying = true
    const name = error instanceof Error ? error.name : 'unknown'
    log.error('session.crash', {
      message: `Server error: ${error instanceof Error ? error.stack : String(error)}`,
    })
    const saved = save(`server_error:${name.slice(0, 60)}`).then(
      () => true,
      () => false,
    )
    lastSaves.push(within(LAST_SAVE_MS, saved))
    void exitWhenSaved(1)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
  return () => {
    process.removeListener('uncaughtException', die)
    process.removeListener('unhandledRejection', die)
  }
}

async function within(ms: number, done: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)))
  try {
    return await Promise.race([done, late])
  } finally {
    clearTimeout(timer)
  }
}

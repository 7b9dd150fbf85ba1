/**
 * What was told of a dataset, and what is yet to be told, in DATA_DIR/service/DATASET.alerts.json: after
 * a restart nothing is told twice and nothing is forgotten. Replaced as a whole, and synced.
 */
import { mkdir, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { writeWhole } from '../backup/publish.ts'
import type { Logger } from '../engine/logger.ts'
import { ifAbsent } from '../util/system-error.ts'
import type { AlertState, Notice } from './alerts.ts'
import { CHECKS } from './report.ts'

export type Channel = 'webhook' | 'command'

export interface Unsent {
  readonly channel: Channel
  readonly notice: Notice
}

export interface AlertMemory {
  readonly state: AlertState
  /** Oldest first. */
  readonly unsent: readonly Unsent[]
}

const SCHEMA = 'cairn/alerts@v1'
const NOTHING: AlertMemory = { state: {}, unsent: [] }

export const alertMemoryPath = (dataDir: string, dataset: string): string =>
  join(dataDir, 'service', `${dataset}.alerts.json`)

/** A file that cannot be read is set aside: then what is bad is told once more. */
export async function readAlertMemory(path: string, log: Logger): Promise<AlertMemory> {
  const text = await readFile(path, 'utf8').catch(ifAbsent)
  if (text === undefined) return NOTHING
  const memory = parseMemory(text)
  if (memory !== undefined) return memory
  const aside = `${path}.unreadable`
  await rename(path, aside)
  log.error('alerts.memory_unreadable', {
    message: `What was told last could not be read, and was moved to ${aside}.`,
    path: aside,
  })
  return NOTHING
}

export async function writeAlertMemory(path: string, memory: AlertMemory): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const text = `${JSON.stringify({ schema: SCHEMA, ...memory })}\n`
  await writeWhole(dirname(path), basename(path), text)
}

function parseMemory(text: string): AlertMemory | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value) || value['schema'] !== SCHEMA) return undefined
  const { state, unsent } = value
  if (!isObject(state) || !Object.entries(state).every(isCheckState)) return undefined
  if (!Array.isArray(unsent) || !unsent.every(isUnsent)) return undefined
  return { state, unsent }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function isCheckState([check, value]: readonly [string, unknown]): boolean {
  if (!CHECKS.some((one) => one === check) || !isObject(value)) return false
  const { level, calm } = value
  return (level === 'warning' || level === 'critical') && Number.isSafeInteger(calm)
}

function isUnsent(value: unknown): value is Unsent {
  if (!isObject(value) || !isObject(value['notice'])) return false
  const { channel, notice } = value
  return (
    (channel === 'webhook' || channel === 'command') &&
    [notice['dataset'], notice['at'], notice['level']].every((one) => typeof one === 'string') &&
    Array.isArray(notice['changes']) &&
    notice['changes'].every((one) => isObject(one) && Array.isArray(one['findings']))
  )
}

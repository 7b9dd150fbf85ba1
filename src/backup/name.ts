/** What the files of a backup are called: the CAR, its sidecar, its checksum file, and what is unfinished. */
import { randomBytes } from 'node:crypto'

export interface CarName {
  readonly dataset: string
  readonly seq: number
  /** Of the export, as `YYYYMMDD-HHMMSS` in UTC. */
  readonly timestamp: string
  /** The last characters of the checkpoint's CID. */
  readonly cidEnd: string
  readonly encrypted: boolean
}

const CID_END_CHARS = 8
const NAME =
  /^(?<dataset>[a-z0-9_-]{1,64})-(?<seq>\d{1,15})-(?<timestamp>\d{8}-\d{6})-(?<cidEnd>[a-z2-7]{8})\.car(?<age>\.age)?$/
const CAR_ENDING = /\.car(\.age)?$/
const UNFINISHED = /^\.(.+)\.\d+-[0-9a-f]{12}\.partial$/

export function printCarName({ dataset, seq, timestamp, cidEnd, encrypted }: CarName): string {
  return `${dataset}-${seq}-${timestamp}-${cidEnd}.car${encrypted ? '.age' : ''}`
}

/** Undefined for a file that is called otherwise. */
export function parseCarName(name: string): CarName | undefined {
  const groups = NAME.exec(name)?.groups
  if (groups === undefined) return undefined
  const { dataset = '', seq = '', timestamp = '', cidEnd = '', age } = groups
  if (parseTimestamp(timestamp) === undefined) return undefined
  return { dataset, seq: Number(seq), timestamp, cidEnd, encrypted: age !== undefined }
}

export function cidEndOf(cid: string): string {
  return cid.slice(-CID_END_CHARS)
}

export function printTimestamp(ms: number): string {
  const digits = new Date(ms).toISOString().replaceAll(/\D/g, '')
  return `${digits.slice(0, 8)}-${digits.slice(8, 14)}`
}

/** Milliseconds; undefined for what is no moment. */
export function parseTimestamp(text: string): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)$/.exec(text)?.slice(1)
  if (parts === undefined) return undefined
  const [year = '', month = '', day = '', hour = '', minute = '', second = ''] = parts
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  // Some days that are not, such as 31 February, are read as later ones.
  return Number.isNaN(ms) || printTimestamp(ms) !== text ? undefined : ms
}

export const isCarName = (name: string): boolean => CAR_ENDING.test(name) && !name.startsWith('.')

/** Of a CAR's path: what its sidecar and its checksum file begin with. */
function stemOf(path: string): string {
  return path.replace(CAR_ENDING, '')
}

export interface BackupPaths {
  readonly car: string
  readonly sidecar: string
  readonly sums: string
}

export function pathsBeside(car: string): BackupPaths {
  const stem = stemOf(car)
  return { car, sidecar: `${stem}.json`, sums: `${stem}.sha256` }
}

/** A name under which nobody looks for a backup. */
export function unfinishedName(name: string): string {
  return `.${name}.${process.pid}-${randomBytes(6).toString('hex')}.partial`
}

export const isUnfinishedName = (name: string): boolean => UNFINISHED.test(name)

/** What the file was to be called in the end. */
export const nameOfUnfinished = (name: string): string | undefined => UNFINISHED.exec(name)?.[1]

/**
 * Where things lie in a bucket:
 *
 *   cairn.json                        what this is; put once, when the server was found fit
 *   datasets/NAME/commits/NUMBER      a commit with its blocks, a CARv2; put where there is none
 *   datasets/NAME/head                a number that was the newest once: where to begin to look
 *   datasets/NAME/floors/NUMBER       the commits below are forgotten; the highest counts
 *   packs/TIME-RANDOM-INDEX.car       blocks, a CARv2; INDEX says where its index begins
 *   leases/KIND/ID                    somebody is alive
 *   sweep.json, sweeps/NUMBER...      see sweep-state.ts
 */
import { randomBytes } from 'node:crypto'

export const MARKER = 'cairn.json'
export const DATASETS = 'datasets/'
export const PACKS = 'packs/'
export const SWEEP = 'sweep.json'

const NUMBER_DIGITS = 12
const TIME_DIGITS = 9

export const commitsOf = (dataset: string): string => `${DATASETS}${dataset}/commits/`
export const floorsOf = (dataset: string): string => `${DATASETS}${dataset}/floors/`
export const headOf = (dataset: string): string => `${DATASETS}${dataset}/head`
export const commitKey = (dataset: string, number: number): string =>
  commitsOf(dataset) + digits(number)
export const floorKey = (dataset: string, number: number): string =>
  floorsOf(dataset) + digits(number)
export const sweepKey = (number: number): string => `sweeps/${digits(number)}`
export const touchedOf = (sweep: number): string => `${sweepKey(sweep)}/touched/`

const digits = (number: number): string => String(number).padStart(NUMBER_DIGITS, '0')

/** The number that a key ends with. */
export function numberOf(key: string): number | undefined {
  const name = key.slice(key.lastIndexOf('/') + 1)
  return name.length === NUMBER_DIGITS && /^\d+$/.test(name) ? Number(name) : undefined
}

/** Names sort by the time at which they were made, by the writer's clock. */
export function timedName(now: number): string {
  return `${now.toString(36).padStart(TIME_DIGITS, '0')}-${randomBytes(8).toString('hex')}`
}

/** `healed`: its blocks go before those of the same CID elsewhere. */
export function packKey(now: number, indexAt: number, healed: boolean): string {
  return `${PACKS}${timedName(now)}-${indexAt.toString(36)}${healed ? '.healed' : ''}.car`
}

/** All packs that were named since then have later keys. */
export const packsSince = (time: number): string =>
  `${PACKS}${Math.max(0, time).toString(36).padStart(TIME_DIGITS, '0')}`

export interface PackName {
  readonly time: number
  readonly indexAt: number
  readonly healed: boolean
}

/** undefined: not one of ours. */
export function parsePackKey(key: string): PackName | undefined {
  const found = /^packs\/([0-9a-z]{9})-[0-9a-f]{16}-([0-9a-z]{1,6})(\.healed)?\.car$/.exec(key)
  const [, time, indexAt, healed] = found ?? []
  if (time === undefined || indexAt === undefined) return undefined
  return { time: parseInt(time, 36), indexAt: parseInt(indexAt, 36), healed: healed !== undefined }
}

/**
 * Where things lie in a bucket:
 *
 *   cairn.json                        what this is; put once, when the server was found fit
 *   datasets/NAME/commits/NUMBER      a commit with its blocks, a CARv2; put where there is none
 *   datasets/NAME/head                a number that was the newest once: where to begin to look
 *   datasets/NAME/marks/floor-NUMBER  the commits below are forgotten; the highest counts
 *   datasets/NAME/marks/folded-NUMBER the blocks of the commits up to it are in packs; the highest counts
 *   packs/TIME-RANDOM-CHECK-INDEX.car blocks, a CARv2; INDEX says where its index begins, CHECK is its hash
 *   leases/KIND/ID                    somebody is alive
 *   sweep.json, sweeps/NUMBER...      see sweep-state.ts
 */
import { createHash, randomBytes } from 'node:crypto'

export const MARKER = 'cairn.json'
export const DATASETS = 'datasets/'
export const PACKS = 'packs/'
export const SWEEP = 'sweep.json'

export type MarkKind = 'floor' | 'folded'

const NUMBER_DIGITS = 12
const TIME_DIGITS = 9

export const commitsOf = (dataset: string): string => `${DATASETS}${dataset}/commits/`
export const marksOf = (dataset: string): string => `${DATASETS}${dataset}/marks/`
export const headOf = (dataset: string): string => `${DATASETS}${dataset}/head`
export const commitKey = (dataset: string, number: number): string =>
  commitsOf(dataset) + digits(number)
export const markKey = (dataset: string, kind: MarkKind, number: number): string =>
  `${marksOf(dataset)}${kind}-${digits(number)}`
export const sweepKey = (number: number): string => `sweeps/${digits(number)}`
export const touchedOf = (sweep: number): string => `${sweepKey(sweep)}/touched/`

const digits = (number: number): string => String(number).padStart(NUMBER_DIGITS, '0')

/** The number that a key ends with. */
export function numberOf(key: string): number | undefined {
  const name = key.slice(key.lastIndexOf('/') + 1)
  return name.length === NUMBER_DIGITS && /^\d+$/.test(name) ? Number(name) : undefined
}

/** undefined: not the key of a mark. */
export function parseMarkKey(key: string): { kind: MarkKind; number: number } | undefined {
  const [, kind, number] = /\/(floor|folded)-(\d{12})$/.exec(key) ?? []
  if (number === undefined) return undefined
  return { kind: kind === 'floor' ? 'floor' : 'folded', number: Number(number) }
}

/** undefined: not the key of a commit. */
export function parseCommitKey(key: string): { dataset: string; number: number } | undefined {
  const [, dataset, number] = /^datasets\/([^/]+)\/commits\/(\d{12})$/.exec(key) ?? []
  return dataset === undefined ? undefined : { dataset, number: Number(number) }
}

/** Names sort by the time at which they were made, by the writer's clock. */
export function timedName(now: number): string {
  return `${timeName(now)}-${randomBytes(8).toString('hex')}`
}

const timeName = (now: number): string => now.toString(36).padStart(TIME_DIGITS, '0')

/**
 * No other pack has its name, whatever is in it: of two with the same blocks a sweep may delete one.
 * `healed`: its blocks go before those of the same CID elsewhere.
 */
export function packKey(now: number, indexAt: number, healed: boolean, index: Uint8Array): string {
  const name = `${timedName(now)}-${checkOf(index)}-${indexAt.toString(36)}`
  return `${PACKS}${name}${healed ? '.healed' : ''}.car`
}

/** By which an index is known that was damaged, where it lies or on its way. */
export function checkOf(index: Uint8Array): string {
  return createHash('sha256').update(index).digest('hex').slice(0, 16)
}

/** All packs that were named since then have later keys. */
export const packsSince = (time: number): string => `${PACKS}${timeName(Math.max(0, time))}`

export interface PackName {
  readonly time: number
  readonly check: string
  readonly indexAt: number
  readonly healed: boolean
}

/** undefined: not one of ours. */
export function parsePackKey(key: string): PackName | undefined {
  const found =
    /^packs\/([0-9a-z]{9})-[0-9a-f]{16}-([0-9a-f]{16})-([0-9a-z]{1,6})(\.healed)?\.car$/.exec(key)
  const [, time, check, indexAt, healed] = found ?? []
  if (time === undefined || check === undefined || indexAt === undefined) return undefined
  return {
    time: parseInt(time, 36),
    check,
    indexAt: parseInt(indexAt, 36),
    healed: healed !== undefined,
  }
}

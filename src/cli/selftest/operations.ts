/**
 * What a self-test does to its scratch store, in its own process and in one that is killed on the way:
 * appends, a build, an export, a restore, a prune. Every content says which entity and version it is.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { openCars } from '../../backup/open-cars.ts'
import { exportToFolder } from '../../backup/write-car.ts'
import type { Cairn } from '../../cairn.ts'
import type { Dataset } from '../../engine/dataset.ts'

export const DATASET = 'selftest'
export const OPERATIONS = ['append', 'build', 'export', 'restore', 'prune'] as const
export type OperationName = (typeof OPERATIONS)[number]

/** The scratch folder and what is in it. */
export interface Ground {
  readonly store: string
  readonly backups: string
  /** A backup of another state of the dataset. */
  readonly car: string
}

export interface Ack {
  readonly pi: string
  readonly ver: number
}

const ENTITIES = 300
const SNAPSHOTS = 2
const APPENDS = 4
const TEXT_REPEATS = 8

export function groundIn(folder: string): Ground {
  return {
    store: join(folder, 'store'),
    backups: join(folder, 'backups'),
    car: join(folder, 'other.car'),
  }
}

export function contentOf(pi: string, ver: number): { pi: string; ver: number; text: string } {
  const text = createHash('sha256').update(`${pi} ${ver}`).digest('base64').repeat(TEXT_REPEATS)
  return { pi, ver, text }
}

export async function putVersion(
  dataset: Dataset,
  name: string,
  ver: number,
  count: number,
): Promise<void> {
  const ids = Array.from({ length: count }, (_, i) => `${name}-${String(i).padStart(6, '0')}`)
  await dataset.putBatch(ids.map((pi) => ({ pi, ver, value: contentOf(pi, ver) })))
}

/** Two snapshots and a recent chain, so that each operation has something to do. */
export async function fillForKills(dataset: Dataset, name: string): Promise<void> {
  for (let ver = 1; ver <= SNAPSHOTS; ver++) {
    await putVersion(dataset, name, ver, ENTITIES)
    await dataset.build()
  }
  await putVersion(dataset, `${name}-new`, 1, ENTITIES / 10)
}

/** `onAck` is told of each append when it was acknowledged. */
export async function runOperation(
  operation: OperationName,
  cairn: Cairn,
  { backups, car }: Ground,
  onAck: (ack: Ack) => void,
): Promise<void> {
  const dataset = await cairn.dataset(DATASET)
  switch (operation) {
    case 'append':
      for (let n = 0; n < APPENDS; n++) {
        const pi = `appended-${n}`
        await dataset.put(pi, contentOf(pi, 1), { ver: 1 })
        onAck({ pi, ver: 1 })
      }
      return
    case 'build':
      await dataset.build()
      return
    case 'export': {
      const form = { version: 1, recipients: [], force: true, now: Date.now } as const
      await exportToFolder(dataset, backups, form)
      return
    }
    case 'restore': {
      const opened = await openCars([car])
      try {
        await cairn.restoreCar(opened.cars, { replace: true })
      } finally {
        await opened.close()
      }
      return
    }
    case 'prune':
      await dataset.prune({ policy: { last: 1 } })
  }
}

/** What the dataset holds: of each entity its version, once its content was read and is the right one. */
export async function stateOf(dataset: Dataset): Promise<Map<string, number>> {
  const state = new Map<string, number>()
  for await (const { pi, ver, tip } of dataset.entries()) {
    if (tip === null) continue
    const content = await dataset.content(tip)
    const value = content.kind === 'value' ? JSON.stringify(content.value) : undefined
    if (value !== JSON.stringify(contentOf(pi, ver)))
      throw new Error(`the content of ${pi} is not what was stored`)
    state.set(pi, ver)
  }
  return state
}

/** The CAR that is open, if one is: it stays open while one looks at other views. */
import { signal, type ReadonlySignal } from '@preact/signals'
import { isClientError } from '../../../../src/client/error.ts'
import {
  openCar,
  type CarHandle,
  type CarProgress,
  type CarVerification,
} from '../../car/client.ts'
import { announce } from '../../ui/announcer.tsx'
import { verdictOf } from './verdict.ts'

export type Opened =
  | { readonly state: 'none' }
  | { readonly state: 'opening'; readonly files: readonly File[]; readonly stop: () => void }
  | { readonly state: 'failed'; readonly files: readonly File[]; readonly error: unknown }
  | {
      readonly state: 'open'
      readonly files: readonly File[]
      readonly car: CarHandle
      readonly turn: number
    }

export type Verified =
  | { readonly state: 'none' }
  | { readonly state: 'running'; readonly stop: () => void }
  | { readonly state: 'failed'; readonly error: unknown }
  | { readonly state: 'done'; readonly report: CarVerification }

/** What goes on, and since when its step does. */
export interface Going {
  readonly progress: CarProgress
  readonly since: number
  readonly at: number
}

const openedNow = signal<Opened>({ state: 'none' })
const verifiedNow = signal<Verified>({ state: 'none' })
const goingNow = signal<Going | undefined>(undefined)
let turns = 0

export const opened: ReadonlySignal<Opened> = openedNow
export const verified: ReadonlySignal<Verified> = verifiedNow
export const going: ReadonlySignal<Going | undefined> = goingNow

/** Opens the files and proves them; what was open is closed. */
export async function openFiles(files: readonly File[]): Promise<void> {
  closeCar()
  const turn = ++turns
  const stop = new AbortController()
  openedNow.value = { state: 'opening', files, stop: () => stop.abort() }
  try {
    const car = await openCar(files, { onProgress, signal: stop.signal })
    if (turn !== turns) return car.close()
    openedNow.value = { state: 'open', files, car, turn }
    announce('The CAR is open.')
    void verifyOpened()
  } catch (error) {
    if (turn !== turns) return
    openedNow.value = isClientError(error, 'aborted')
      ? { state: 'none' }
      : { state: 'failed', files, error }
  }
  goingNow.value = undefined
}

export async function verifyOpened(): Promise<void> {
  const now = openedNow.peek()
  if (now.state !== 'open') return
  const stop = new AbortController()
  verifiedNow.value = { state: 'running', stop: () => stop.abort() }
  try {
    const report = await now.car.verify({ onProgress, signal: stop.signal })
    if (openedNow.peek() !== now) return
    verifiedNow.value = { state: 'done', report }
    announce(verdictOf(report).headline)
  } catch (error) {
    if (openedNow.peek() !== now) return
    verifiedNow.value = isClientError(error, 'aborted')
      ? { state: 'none' }
      : { state: 'failed', error }
  }
  goingNow.value = undefined
}

export function closeCar(): void {
  turns++
  const now = openedNow.peek()
  if (now.state === 'open') now.car.close()
  if (now.state === 'opening') now.stop()
  openedNow.value = { state: 'none' }
  verifiedNow.value = { state: 'none' }
  goingNow.value = undefined
}

function onProgress(progress: CarProgress): void {
  const at = performance.now()
  const before = goingNow.peek()
  const since = before?.progress.step === progress.step ? before.since : at
  goingNow.value = { progress, since, at }
}

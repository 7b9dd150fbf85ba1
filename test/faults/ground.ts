/**
 * Stores to let operations fail on: each case gets a fresh copy of the same one. A process that died is
 * followed by others; its leases are void at once (in memory), or by a clock that is two hours ahead.
 */
import type { Backend } from '../../src/store/backend.ts'
import type { Handle } from './contract.ts'
import type { Clock, Material } from './material.ts'
import type { Steps } from './steps.ts'

export const AHEAD_MS: number = 2 * 3_600_000

export interface Ground {
  readonly clock: Clock
  readonly material: Material
  /** Whether a sweep frees blocks by itself, so that one can count what it left. */
  readonly counts: boolean
  /** The store as the process has it that takes the steps; and what the store gave to it. */
  openStepped(steps: Steps): Promise<{ backend: Backend; handles: readonly Handle[] }>
  /** As another process has it. */
  open(): Promise<Backend>
  /** The process that took the steps is gone, and what it holds is void. */
  bury(): Promise<void>
  /** Makes the store lose what it may lose: a node collects its garbage. */
  collect(): Promise<void>
  dispose(): Promise<void>
}

export interface Grounds {
  readonly name: string
  /** At most so many cases at once. */
  readonly atOnce: number
  make(): Promise<Ground>
  dispose(): Promise<void>
}

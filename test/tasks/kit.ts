/** What tests of tasks share: a dataset with content and a backups folder, and ways to stop a task midway. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { readBackups } from '../../src/backup/folder.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Progress } from '../../src/engine/context.ts'
import { SILENT } from '../../src/engine/logger.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import { TaskFailure, type TaskContext } from '../../src/tasks/context.ts'

export const NOW: number = Date.UTC(2026, 10, 21, 3, 4, 5)
export const HOUR = 3_600_000
export const CID: RegExp = /^baf[a-z2-7]{50,}$/

export interface Ground {
  readonly context: TaskContext
  readonly dataset: Dataset
  readonly clock: { now: number }
  readonly notes: string[]
}

/** A folder of this test's own, gone when it has finished. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-tasks-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** `main` with a snapshot of 400 entities of linked content, and one entry since. */
export async function ground(backend: Backend = openMemory()): Promise<Ground> {
  const folder = await scratch()
  const clock = { now: NOW }
  const cairn = new Cairn(backend, { now: () => clock.now })
  const { dataset } = await cairn.init('main', { chunkSize: 64 })
  await dataset.putBatch(Array.from({ length: 400 }, (_, i) => ({ pi: `e${i}`, value: { i } })))
  await dataset.build()
  await dataset.put('late', 1)
  const notes: string[] = []
  const context: TaskContext = {
    cairn,
    backend,
    dataset: 'main',
    dataDir: join(folder, 'data'),
    backupsDir: join(folder, 'backups'),
    now: () => clock.now,
    log: SILENT,
    onNote: (text) => notes.push(text),
  }
  return { context, dataset, clock, notes }
}

/** The same context on a store of its own, empty. */
export function elsewhere({ context, clock }: Ground): TaskContext {
  const backend = openMemory()
  return { ...context, backend, cairn: new Cairn(backend, { now: () => clock.now }) }
}

/** What is in a folder; nothing if there is none. */
export async function filesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch((): string[] => [])).sort()
}

/** The paths of the backups, newest first; whatever else the folder holds is a part of none. */
export async function wholeBackups({ backupsDir }: TaskContext): Promise<string[]> {
  const { backups, unfinished, damaged } = await readBackups(backupsDir)
  expect({ unfinished, damaged }).toEqual({ unfinished: [], damaged: [] })
  expect(await filesIn(backupsDir)).toHaveLength(3 * backups.length)
  return backups.map(({ paths }) => paths.car)
}

/** What is told outside must be plain JSON. */
export function expectPlain(record: unknown): void {
  expect(JSON.parse(JSON.stringify(record))).toEqual(record)
}

export async function failureOf(task: Promise<unknown>): Promise<TaskFailure> {
  const error = await task.then(
    (record) => record,
    (thrown: unknown) => thrown,
  )
  if (error instanceof TaskFailure) return error
  throw new Error('the task did not fail with its record', { cause: error })
}

export async function expectCode(task: Promise<unknown>, code: ErrorCode): Promise<void> {
  const error = await task.then(
    (record) => record,
    (thrown: unknown) => thrown,
  )
  expect(isCairnError(error) ? error.code : error).toBe(code)
}

/** Aborts at the first progress of this step. */
export function abortingAt(context: TaskContext, step: string): TaskContext {
  const stop = new AbortController()
  const onProgress = (progress: Progress): void => {
    if (progress.step === step) stop.abort()
  }
  return { ...context, signal: stop.signal, onProgress }
}

/**
 * Runs a task again and again, each time with an abort at a later call to the store, until it runs to its
 * end before it comes. `check` is called after each that was aborted; the answer is how many were.
 */
export async function abortAnywhere(
  make: () => Promise<Ground>,
  run: (context: TaskContext) => Promise<unknown>,
  check: (ground: Ground) => Promise<void>,
): Promise<number> {
  let ended = 0
  // The further in, the wider apart: long tasks repeat themselves.
  for (let place = 0; ; place += 1 + Math.floor(place / 8)) {
    const made = await make()
    const stop = new AbortController()
    let calls = 0
    const backend = counting(made.context.backend, () => {
      if (calls++ === place) stop.abort()
    })
    const cairn = new Cairn(backend, { now: made.context.now })
    const task = run({ ...made.context, backend, cairn, signal: stop.signal })
    const aborted = await task.then(
      () => false,
      (error: unknown) => isCairnError(error, 'aborted') || Promise.reject(error),
    )
    if (!aborted) {
      if (!stop.signal.aborted) return ended
      continue
    }
    ended += 1
    await check(made)
  }
}

function counting(inner: Backend, onCall: () => void): Backend {
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        onCall()
        return Reflect.apply(value, target, args)
      }
    },
  })
}

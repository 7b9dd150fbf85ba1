/**
 * The session's record as this process knows it, and its changes. They are made one after another, those that
 * are asked for while one is made all in the next: however many come and go at once, few commits are made.
 */
import type { Dataset } from '../engine/dataset.ts'
import { toCairnError, type CairnError } from '../errors.ts'
import type { SessionRecord } from '../live/session-record.ts'
import { changeSession } from '../live/session-store.ts'
import { whenFree } from '../live/when-free.ts'

type Change = (record: SessionRecord) => SessionRecord

interface Asked {
  readonly change: Change
  readonly done: (changed: boolean) => void
  readonly fail: (error: CairnError) => void
  changed: boolean
  refused?: CairnError | undefined
}

export class SharedRecord {
  readonly #dataset: () => Promise<Dataset>
  #now: SessionRecord
  readonly #asked: Asked[] = []
  #running = false

  constructor(now: SessionRecord, dataset: () => Promise<Dataset>) {
    this.#now = now
    this.#dataset = dataset
  }

  /** As it was read or written last. */
  get now(): SessionRecord {
    return this.#now
  }

  /**
   * Durable when it resolves, to false where nothing was to be changed. `change` may be asked again; one that
   * throws is refused alone.
   */
  change(change: Change): Promise<boolean> {
    return new Promise((done, fail) => {
      this.#asked.push({ change, done, fail, changed: false })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#asked.length > 0) {
      const group = this.#asked.splice(0)
      try {
        const dataset = await this.#dataset()
        const { record } = await whenFree(() =>
          changeSession(dataset, (before) => changed(before, group)),
        )
        this.#now = record
        for (const { done, fail, changed: own, refused } of group)
          if (refused === undefined) done(own)
          else fail(refused)
      } catch (error) {
        for (const { fail, refused } of group) fail(refused ?? toCairnError(error))
      }
    }
    this.#running = false
  }
}

function changed(before: SessionRecord, group: readonly Asked[]): SessionRecord {
  let record = before
  for (const one of group) {
    one.refused = undefined
    try {
      const next = one.change(record)
      one.changed = next !== record
      record = next
    } catch (error) {
      one.refused = toCairnError(error)
    }
  }
  return record
}

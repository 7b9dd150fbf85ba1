/**
 * A map's own record, which says that there is such a map and how long its keys live. It is written with the map's
 * first keys, in one commit, and again with the next ones when somebody has deleted it: keys without it would be in
 * no list, and those set after a restart would never expire.
 */
import { recordId, type MapRecord } from './layout.ts'
import type { Write } from './writer.ts'

export class OwnRecord {
  readonly #name: string
  readonly #record: MapRecord
  #isDue: boolean

  constructor(name: string, record: MapRecord, isDue: boolean) {
    this.#name = name
    this.#record = record
    this.#isDue = isDue
  }

  /** It is not in the store. */
  gone(): void {
    this.#isDue = true
  }

  /** What is to be written with the next keys; undefined while it is there, or on its way. */
  take(): Write | undefined {
    if (!this.#isDue) return undefined
    this.#isDue = false
    return {
      id: recordId(this.#name),
      value: this.#record,
      exp: null,
      written: () => {},
      failed: () => this.gone(),
    }
  }
}

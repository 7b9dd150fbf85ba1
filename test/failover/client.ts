/**
 * A client that writes versions of its own entities, one after another, over HTTP, and notes what was acknowledged.
 * What had no answer it may send again, or it gives that up and writes something else: as programs do.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { encodeJson } from '../../src/content/encode.ts'
import { printCid } from '../../src/model/cid.ts'
import { Random } from '../helpers/random.ts'

const ENTITIES = 12
const ANSWER_MS = 15_000

export interface Acknowledged {
  readonly pi: string
  readonly ver: number
  readonly tip: string
}

export class Client {
  readonly acknowledged: Acknowledged[] = []
  /** Resolves with the next write that is acknowledged. */
  acknowledgedOne: Promise<void> = Promise.resolve()
  unsure = 0
  readonly #name: string
  readonly #random: Random
  readonly #versions = new Map<string, number>()
  #unsure: { readonly pi: string; readonly ver: number; readonly value: unknown } | undefined
  #stopped = false
  #tell: () => void = () => {}

  constructor(number: number, seed: number) {
    this.#name = `c${number}`
    this.#random = new Random(seed * 1000 + number)
  }

  someEntity(): string {
    return `${this.#name}-${this.#random.int(0, ENTITIES - 1)}`
  }

  stop(): void {
    this.#stopped = true
  }

  /** Writes until it is stopped; or, to a service that has gone, until then. */
  async run(url: string): Promise<void> {
    this.#stopped = false
    this.acknowledgedOne = new Promise((resolve) => (this.#tell = resolve))
    for (let n = 0; !this.#stopped; n++) {
      const pi = this.someEntity()
      const value = { client: this.#name, n, by: url }
      const next = this.#unsure ?? { pi, ver: (this.#versions.get(pi) ?? 0) + 1, value }
      // As often as not it does not know any more what it wanted.
      const one =
        this.#unsure !== undefined && this.#random.int(0, 1) === 0 ? { ...next, value } : next
      await this.#write(url, one)
    }
  }

  async #write(
    url: string,
    { pi, ver, value }: { readonly pi: string; readonly ver: number; readonly value: unknown },
  ): Promise<void> {
    const tip = printCid(encodeJson(value).cid)
    try {
      const answer = await fetch(`${url}/v1/datasets/main/entities/${pi}/content?ver=${ver}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(value),
        signal: AbortSignal.timeout(ANSWER_MS),
      })
      await answer.text()
      if (answer.ok) {
        this.#unsure = undefined
        this.#versions.set(pi, ver)
        this.acknowledged.push({ pi, ver, tip })
        return this.#tell()
      }
      // It was there already, as something else: what had no answer was taken.
      if (answer.status === 409) {
        this.#versions.set(pi, ver)
        this.#unsure = undefined
        return
      }
    } catch {
      // Killed, or cut.
    }
    this.unsure += 1
    this.#unsure = { pi, ver, value }
    await delay(50)
  }
}

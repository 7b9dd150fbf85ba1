/**
 * Sources: state that lives in the program and not in a map. Each gives the whole of what it has when it is
 * saved; what differs from what was saved last is written. One that is expected and was not attached, throws,
 * or gives nothing, fails the save: nobody is to be told that something was saved which was not.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { CairnError, toCairnError } from '../errors.ts'
import type { LiveMap } from '../live/map.ts'

/** All keys with their values. */
export type SourceState<V> = Iterable<readonly [string, V]> | Readonly<Record<string, V>>

export interface Source<V = unknown> {
  /** The whole of the state, of one moment. It is read before anything else runs. */
  readonly capture: () => SourceState<V> | Promise<SourceState<V>>
  /** Is given what was saved last, before `attach` resolves; not called where nothing was. */
  readonly restore?: ((state: ReadonlyMap<string, V>) => void | Promise<void>) | undefined
}

interface Attached {
  readonly map: LiveMap
  readonly source: Source
}

export class Sources {
  readonly #expected: readonly string[]
  readonly #attached = new Map<string, Attached>()
  readonly #attaching = new Set<string>()
  /** Of the capture that the running code belongs to, whether it goes on. */
  readonly #capture = new AsyncLocalStorage<{ running: boolean }>()

  constructor(expected: readonly string[]) {
    this.#expected = expected
  }

  get missing(): readonly string[] {
    return this.#expected.filter((name) => !this.#attached.has(name))
  }

  /** Whoever asks is the capture of a source. */
  get isCapturing(): boolean {
    return this.#capture.getStore()?.running === true
  }

  async attach<V>(map: LiveMap<V>, source: Source<V>): Promise<void> {
    if (this.#attached.has(map.name) || this.#attaching.has(map.name)) {
      throw new CairnError('usage', `The source "${map.name}" is attached already.`, {
        hint: 'Detach it first, or use another name.',
      })
    }
    this.#attaching.add(map.name)
    try {
      if (source.restore !== undefined && map.size > 0) await source.restore(new Map(map))
    } finally {
      this.#attaching.delete(map.name)
    }
    this.#attached.set(map.name, { map: map as unknown as LiveMap, source: source as Source })
  }

  /** What was saved of it stays. */
  detach(name: string): void {
    this.#attached.delete(name)
  }

  /** Writes what has changed of all of them; the answer is how many keys that were. */
  async save(): Promise<number> {
    const [first] = this.missing
    if (first !== undefined) {
      throw failed(
        first,
        'it was not attached',
        'Attach it; while it is missing, nothing of it can be saved.',
      )
    }
    let written = 0
    for (const [name, { map, source }] of this.#attached)
      written += await saveOne(name, map, await this.#captured(name, source))
    return written
  }

  async #captured(name: string, { capture }: Source): Promise<unknown> {
    const within = { running: true }
    try {
      return await this.#capture.run(within, capture)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw failed(
        name,
        `its capture threw: ${why}`,
        'Look at the source; what was saved before is still there.',
        cause,
      )
    } finally {
      within.running = false
    }
  }
}

async function saveOne(name: string, map: LiveMap, state: unknown): Promise<number> {
  if (!isState(state))
    throw failed(
      name,
      'its capture gave no state',
      'Give a plain object, a Map, or pairs of key and value.',
    )
  try {
    return await map.replaceAll(state)
  } catch (cause) {
    const { message, hint = 'Look at what it gives.' } = toCairnError(cause)
    throw failed(name, message, hint, cause)
  }
}

/** An object of another kind has no members to be saved, and would pass for a state from which all is gone. */
function isState(given: unknown): given is SourceState<unknown> {
  if (typeof given !== 'object' || given === null || ArrayBuffer.isView(given)) return false
  const prototype: unknown = Object.getPrototypeOf(given)
  return Symbol.iterator in given || prototype === null || prototype === Object.prototype
}

function failed(name: string, why: string, hint: string, cause?: unknown): CairnError {
  return new CairnError(
    'unhealthy',
    `The source "${name}" was not saved: ${why.replace(/\.$/, '')}.`,
    {
      hint,
      source: name,
      cause,
    },
  )
}

/**
 * Values of live maps: JSON or bytes. A map keeps a copy of its own, frozen, so that what `get` gives cannot be
 * changed by accident without being saved, and what was given to `set` may be changed afterwards.
 *
 * As in JSON, a member that is undefined counts as absent. Unlike JSON, what has no place in it (NaN, dates,
 * class instances, functions) is refused and never changed in silence: it would come back as something else.
 */
import { CairnError } from '../errors.ts'
import { bytesEqual } from '../model/cid.ts'

/** A value as it stands in a map: null, boolean, number, text, list, plain object, or bytes. */
export type LiveValue = unknown

const MAX_DEPTH = 100
/** Half of what a block holds: an encoding may take more room than the text. */
const SURELY_FITS = 1 << 18

export interface FrozenValue {
  readonly value: LiveValue
  /** It is certain that it fits one block. */
  readonly small: boolean
}

/** A frozen copy; throws `invalid_content` where a part is no JSON, and says which one. */
export function frozenCopy(value: unknown): FrozenValue {
  // A view cannot be frozen; a copy is given to each who asks.
  if (value instanceof Uint8Array) return { value: new Uint8Array(value), small: true }
  const copier = new Copier()
  try {
    return { value: copier.copy(value, 0), small: copier.room >= 0 }
  } catch (error) {
    if (error instanceof NoJson) throw refused(error)
    throw error
  }
}

/** What a reader may have: bytes as a copy of his own, all else as it is, frozen. */
export const toReader = (value: LiveValue): LiveValue =>
  value instanceof Uint8Array ? new Uint8Array(value) : value

/** A part that has no place in JSON; where it is is put together on the way out. */
class NoJson extends Error {
  readonly what: string
  readonly path: (string | number)[] = []

  constructor(what: string) {
    super(what)
    this.what = what
  }
}

function refused({ what, path }: NoJson): CairnError {
  const place = path.length === 0 ? 'It' : `Its part ${path.toReversed().join('.').slice(0, 200)}`
  return new CairnError('invalid_content', `A value was refused. ${place} is ${what}.`, {
    hint: 'Values are JSON (texts, finite numbers, booleans, null, lists, plain objects), or bytes as a Uint8Array.',
  })
}

class Copier {
  /** What is left of the size that surely fits. */
  room = SURELY_FITS

  copy(value: unknown, depth: number): unknown {
    if (typeof value === 'string') {
      if (!value.isWellFormed()) throw new NoJson('a text that is not Unicode')
      this.room -= value.length * 3 + 5
      return value
    }
    this.room -= 9
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) throw new NoJson(String(value))
      // Minus zero is no JSON, and equal to zero.
      return value === 0 ? 0 : value
    }
    if (value === null || typeof value === 'boolean') return value
    if (typeof value !== 'object') throw new NoJson(`a ${typeof value}`)
    if (depth === MAX_DEPTH) throw new NoJson('more than 100 levels, or a cycle')
    return Array.isArray(value) ? this.#list(value, depth) : this.#map(value, depth)
  }

  #list(list: readonly unknown[], depth: number): readonly unknown[] {
    return Object.freeze(Array.from(list, (one, i) => this.#part(i, one, depth)))
  }

  #map(map: object, depth: number): object {
    const prototype: unknown = Object.getPrototypeOf(map)
    if (prototype !== Object.prototype && prototype !== null)
      throw new NoJson(
        map instanceof Uint8Array
          ? 'bytes'
          : `a ${Object.prototype.toString.call(map).slice(8, -1)} of a class`,
      )
    const copy: Record<string, unknown> = {}
    for (const key of Object.keys(map)) {
      const member = (map as Readonly<Record<string, unknown>>)[key]
      if (member === undefined) continue
      if (key === '__proto__' || !key.isWellFormed())
        throw new NoJson('an object with a member that cannot be named so')
      this.room -= key.length * 3 + 5
      copy[key] = this.#part(key, member, depth)
    }
    return Object.freeze(copy)
  }

  #part(name: string | number, value: unknown, depth: number): unknown {
    try {
      return this.copy(value, depth + 1)
    } catch (error) {
      if (error instanceof NoJson) error.path.push(name)
      throw error
    }
  }
}

/** Freezes what was just read and belongs to nobody else. */
export function frozen(value: unknown): LiveValue {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  for (const part of Object.values(value)) frozen(part)
  return Object.freeze(value)
}

/** Whether a value, copied, would be what is stored. What has no place in a map never is. */
export function isSame(stored: LiveValue, value: unknown): boolean {
  if (stored === value) return true
  if (typeof stored !== 'object' || typeof value !== 'object' || stored === null || value === null)
    return false
  if (stored instanceof Uint8Array) return value instanceof Uint8Array && bytesEqual(stored, value)
  if (Array.isArray(stored)) return isSameList(stored, value)
  return isSameMap(stored as Members, value)
}

type Members = Readonly<Record<string, unknown>>

function isSameList(stored: readonly unknown[], value: object): boolean {
  if (!Array.isArray(value) || value.length !== stored.length) return false
  for (let i = 0; i < stored.length; i++) if (!isSame(stored[i], value[i])) return false
  return true
}

/** On the way of every save: walking the members takes half the time of making lists of them. */
function isSameMap(stored: Members, value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  let more = 0
  for (const key in value) {
    const member = (value as Members)[key]
    if (member === undefined) continue
    const known = stored[key]
    if (known === undefined || !isSame(known, member)) return false
    more += 1
  }
  for (const _ in stored) more -= 1
  return more === 0
}

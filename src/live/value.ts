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
  /** It is certain that it can be stored: it fits one block, and no encoder takes a part of it for a link. */
  readonly isSure: boolean
}

/**
 * A frozen copy; throws `invalid_content` where a part is no JSON, and says which one. Its parts that are as in
 * `like`, the copy of another value, are that one's: values of one kind have many in common, and nobody can change
 * them. The whole never is: who tells values apart by their identity goes on to do so.
 */
export function frozenCopy(value: unknown, like?: LiveValue): FrozenValue {
  // A view cannot be frozen; a copy is given to each who asks.
  if (value instanceof Uint8Array) return { value: new Uint8Array(value), isSure: true }
  const inherits = inheritsMembers()
  const copying: Copying = { room: SURELY_FITS, depth: 0, mayHoldLink: false, inherits }
  try {
    return {
      value: copyOf(value, like, copying),
      isSure: copying.room >= 0 && !copying.mayHoldLink,
    }
  } catch (error) {
    if (error instanceof NoJson) throw refused(error)
    throw error
  }
}

/** What a reader may have: bytes as a copy of his own, all else as it is, frozen. */
export const toReader = (value: LiveValue): LiveValue =>
  value instanceof Uint8Array ? new Uint8Array(value) : value

/** The same of a value of another door than a map, which may have bytes within: `set` takes none. */
export function withOwnBytes(value: LiveValue): LiveValue {
  if (Array.isArray(value)) return Object.freeze(value.map(withOwnBytes))
  if (!isPlain(value)) return toReader(value)
  const members = Object.entries(value).map(([key, part]) => [key, withOwnBytes(part)] as const)
  return Object.freeze(Object.fromEntries(members))
}

export function hasBytesWithin(value: LiveValue): boolean {
  if (!Array.isArray(value) && !isPlain(value)) return false
  return Object.values(value).some((part) => part instanceof Uint8Array || hasBytesWithin(part))
}

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

type Members = Readonly<Record<string, unknown>>

const NO_MEMBERS: Members = {}

/** One copy under way. */
interface Copying {
  /** What is left of the size that surely fits. */
  room: number
  depth: number
  /** A member "/" is there, by which encoders know links. */
  mayHoldLink: boolean
  /** Plain objects have members that are not their own. */
  readonly inherits: boolean
}

/** Somebody gave `Object.prototype` a member that a walk meets. */
function inheritsMembers(): boolean {
  for (const _ in Object.prototype) return true
  return false
}

function copyOf(value: unknown, like: unknown, copying: Copying): unknown {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new NoJson('a text that is not Unicode')
    copying.room -= value.length * 3 + 5
    return value
  }
  copying.room -= 9
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new NoJson(String(value))
    // Minus zero is no JSON, and equal to zero.
    return value === 0 ? 0 : value
  }
  if (value === null || typeof value === 'boolean') return value
  if (typeof value !== 'object') throw new NoJson(`a ${typeof value}`)
  if (copying.depth === MAX_DEPTH) throw new NoJson('more than 100 levels, or a cycle')
  copying.depth += 1
  const copy = Array.isArray(value)
    ? copyOfList(value, like, copying)
    : copyOfMap(value, like, copying)
  copying.depth -= 1
  return copy
}

function copyOfList(list: readonly unknown[], like: unknown, copying: Copying): unknown {
  const model: readonly unknown[] = Array.isArray(like) ? like : []
  // Of its very length: one that grows by `push` keeps room for seventeen.
  const copy: unknown[] = Array.from(list)
  let isLike = model === like && model.length === copy.length
  let i = 0
  try {
    for (; i < copy.length; i++) {
      copy[i] = copyOf(copy[i], model[i], copying)
      isLike &&= copy[i] === model[i]
    }
  } catch (error) {
    throw within(error, i)
  }
  return isLike && copying.depth > 1 ? model : Object.freeze(copy)
}

/** On the way of every save: walking the members takes a third of the time of making lists of them. */
function copyOfMap(map: object, like: unknown, copying: Copying): Members {
  refuseInstance(map)
  const model = isPlain(like) ? like : NO_MEMBERS
  const copy: Record<string, unknown> = {}
  let isLike = model === like
  let key = ''
  try {
    for (key in map) {
      const member = (map as Members)[key]
      if (member === undefined || (copying.inherits && !Object.hasOwn(map, key))) continue
      if (key === '__proto__' || !key.isWellFormed())
        throw new NoJson('an object with a member that cannot be named so')
      copying.room -= key.length * 3 + 5
      if (key === '/') copying.mayHoldLink = true
      const known = Object.hasOwn(model, key) ? model[key] : undefined
      const part = copyOf(member, known, copying)
      isLike &&= part === known
      copy[key] = part
    }
  } catch (error) {
    throw within(error, key)
  }
  return isLike && copying.depth > 1 && haveSameKeys(copy, model) ? model : Object.freeze(copy)
}

const isPlain = (like: unknown): like is Members =>
  typeof like === 'object' && like !== null && Object.getPrototypeOf(like) === Object.prototype

/** In the same order, too: readers see it. */
function haveSameKeys(copy: Members, model: Members): boolean {
  const keys = Object.keys(model)
  let i = 0
  for (const key in copy) if (key !== keys[i++]) return false
  return i === keys.length
}

function refuseInstance(map: object): void {
  const prototype: unknown = Object.getPrototypeOf(map)
  if (prototype === Object.prototype || prototype === null) return
  throw new NoJson(
    map instanceof Uint8Array
      ? 'bytes'
      : `a ${Object.prototype.toString.call(map).slice(8, -1)} of a class`,
  )
}

/** The error, which came from this part. */
function within(error: unknown, part: string | number): unknown {
  if (error instanceof NoJson) error.path.push(part)
  return error
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
    // What every object inherits is a function, or behind `__proto__`.
    if (known === undefined || typeof known === 'function' || key === '__proto__') return false
    if (!isSame(known, member)) return false
    more += 1
  }
  for (const _ in stored) more -= 1
  return more === 0
}

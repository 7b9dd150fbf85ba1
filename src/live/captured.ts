/**
 * Captured items: values that came by the many, of a source or by `setAll`, as the bytes that go to the store. Most of
 * them will change again before anybody looks, so none is copied for that. The copy that readers get is made for the
 * first of them, or when the next capture finds the value as it was: what rests is compared faster by it.
 */
import { encodePlainJson } from '../content/fast-cbor.ts'
import { dagCborValue } from '../model/dag-cbor.ts'
import type { Item } from './map-state.ts'
import { frozen, frozenCopy, type FrozenValue, type LiveValue } from './value.ts'

/** Makes the copies of a map's values, one after another, which share what they have in common. */
export class Copies {
  #last: LiveValue

  of(value: unknown): FrozenValue {
    const copy = frozenCopy(value, this.#last)
    // Bytes have no parts, and a large one is not kept for the sake of the next.
    if (copy.isSure && !(copy.value instanceof Uint8Array)) this.#last = copy.value
    return copy
  }
}

class CapturedItem implements Item {
  readonly exp: number | null
  /** Undefined once there is a copy. */
  encoded: Uint8Array | undefined
  #copy: LiveValue

  constructor(encoded: Uint8Array, exp: number | null) {
    this.encoded = encoded
    this.exp = exp
  }

  get value(): LiveValue {
    if (this.encoded !== undefined) this.settle(frozen(dagCborValue(this.encoded)))
    return this.#copy
  }

  settle(copy: LiveValue): void {
    this.#copy = copy
    this.encoded = undefined
  }
}

/**
 * The item of a value: `before` where it holds the same; undefined where the value is more than plain JSON, or none
 * at all.
 */
export function captured(
  value: unknown,
  exp: number | null,
  before: Item | undefined,
  copies: Copies,
): Item | undefined {
  const encoded = encodePlainJson(value, before?.encoded)
  if (encoded === undefined) return undefined
  if (encoded !== before?.encoded) return new CapturedItem(encoded, exp)
  if (before instanceof CapturedItem) before.settle(copyOf(value, encoded, copies))
  return before
}

/** A copy of what has these bytes; where the value has a getter, it may say something else by now, or throw. */
function copyOf(value: unknown, encoded: Uint8Array, copies: Copies): LiveValue {
  try {
    const { value: copy } = copies.of(value)
    if (encodePlainJson(copy, encoded) === encoded) return copy
  } catch {
    // The bytes say it.
  }
  return frozen(dagCborValue(encoded))
}

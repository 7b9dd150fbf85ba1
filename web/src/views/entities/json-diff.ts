/** What differs between two values of JSON: by the way to it, in the order of the older one. */
import { jsonText } from './json-text.ts'

export interface JsonChange {
  readonly kind: 'added' | 'removed' | 'changed'
  /** Names and numbers on the way to it; empty: the whole value. */
  readonly path: readonly string[]
  readonly before: unknown
  readonly after: unknown
}

export interface JsonDiff {
  readonly changes: readonly JsonChange[]
  /** There are more than these. */
  readonly cut: boolean
}

const MOST = 200
/** What lies deeper is compared as a whole. */
const MAX_DEPTH = 30

export function diffValues(before: unknown, after: unknown, most: number = MOST): JsonDiff {
  const changes: JsonChange[] = []
  const cut = !compare(before, after, [], changes, most)
  return { changes, cut }
}

/** False when there were more than `most`. */
function compare(
  before: unknown,
  after: unknown,
  path: readonly string[],
  into: JsonChange[],
  most: number,
): boolean {
  if (Object.is(before, after)) return true
  const add = (change: JsonChange): boolean => into.length < most && into.push(change) > 0
  if (path.length < MAX_DEPTH) {
    if (isMap(before) && isMap(after)) return compareMaps(before, after, path, into, most)
    if (Array.isArray(before) && Array.isArray(after))
      return compareLists(before, after, path, into, most)
  } else if (same(before, after)) return true
  return add({ kind: 'changed', path, before, after })
}

type JsonMap = Readonly<Record<string, unknown>>

const isMap = (value: unknown): value is JsonMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const hasOwn = (map: JsonMap, name: string): boolean => Object.hasOwn(map, name)

function compareMaps(
  before: JsonMap,
  after: JsonMap,
  path: readonly string[],
  into: JsonChange[],
  most: number,
): boolean {
  const names = [...Object.keys(before), ...Object.keys(after).filter((n) => !hasOwn(before, n))]
  for (const name of names) {
    const way = [...path, name]
    const sides = { before: before[name], after: after[name] }
    if (hasOwn(before, name) && hasOwn(after, name)) {
      if (!compare(before[name], after[name], way, into, most)) return false
    } else {
      if (into.length >= most) return false
      into.push({ kind: hasOwn(after, name) ? 'added' : 'removed', path: way, ...sides })
    }
  }
  return true
}

/** What is the same at both ends is passed over, so that one item put in is one change. */
function compareLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: readonly string[],
  into: JsonChange[],
  most: number,
): boolean {
  const shorter = Math.min(before.length, after.length)
  let head = 0
  while (head < shorter && same(before[head], after[head])) head++
  let tail = 0
  while (tail < shorter - head && same(before.at(-1 - tail), after.at(-1 - tail))) tail++
  const [oldEnd, newEnd] = [before.length - tail, after.length - tail]
  for (let i = head; i < Math.max(oldEnd, newEnd); i++) {
    const way = [...path, String(i)]
    if (i < oldEnd && i < newEnd) {
      if (!compare(before[i], after[i], way, into, most)) return false
      continue
    }
    if (into.length >= most) return false
    const kind = i < newEnd ? 'added' : 'removed'
    into.push({ kind, path: way, before: before[i], after: after[i] })
  }
  return true
}

/** Quick, and too strict where names come in another order: what is then compared has no change. */
function same(a: unknown, b: unknown): boolean {
  return jsonText(a) === jsonText(b)
}

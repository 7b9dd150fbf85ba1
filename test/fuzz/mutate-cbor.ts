/** Changing a CBOR block item by item, its lengths kept right or made wrong on purpose. */
import type { Random } from '../helpers/random.ts'
import { allItems, cborHead, cborTree, type CborItem } from './cbor-items.ts'
import type { Mutation } from './mutate-bytes.ts'

const LINK_HEAD = Buffer.from('d82a58250001711220', 'hex')
const NUMBERS = [
  0,
  1,
  23,
  24,
  63,
  64,
  255,
  256,
  9_999,
  10_001,
  65_536,
  2 ** 28,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
]

export function mutateCbor(bytes: Buffer, mutation: Mutation): Buffer | undefined {
  const tree = cborTree(bytes)
  if (tree === undefined) return undefined
  const { random } = mutation
  const items = [...allItems(tree)]
  let item = items[random.int(0, items.length - 1)] ?? tree
  // There are more small items than large ones.
  while (random.next() < 0.35) item = parentOf(items, item) ?? item
  const replace = (what: Uint8Array): Buffer =>
    Buffer.concat([bytes.subarray(0, item.start), what, bytes.subarray(item.end)])
  switch (random.int(0, 8)) {
    case 0:
      return replace(someItem(random))
    case 1: {
      const other = items[random.int(0, items.length - 1)] ?? tree
      return replace(bytes.subarray(other.start, other.end))
    }
    case 2:
      return replace(elsewhere(mutation))
    case 3:
      return withChildren(bytes, parentOf(items, item), item, 'twice')
    case 4:
      return withChildren(bytes, parentOf(items, item), item, 'out')
    case 8:
      return swapped(bytes, parentOf(items, item), item, random)
    case 5:
      return replace(Buffer.concat([longHead(item, random), bytes.subarray(item.body, item.end)]))
    case 6: {
      // A head that says another number than there is.
      const far = NUMBERS[random.int(0, NUMBERS.length - 1)] ?? 0
      const value = random.next() < 0.5 ? far : Math.max(0, item.value + random.int(-2, 2))
      return replace(
        Buffer.concat([cborHead(item.major, value), bytes.subarray(item.body, item.end)]),
      )
    }
    default:
      return replace(resized(bytes, item, random))
  }
}

function someItem(random: Random): Buffer {
  const digest = Buffer.alloc(32, random.int(0, 255))
  const made = [
    () => cborHead(0, NUMBERS[random.int(0, NUMBERS.length - 1)] ?? 0),
    () => cborHead(1, NUMBERS[random.int(0, NUMBERS.length - 1)] ?? 0),
    () => Buffer.of(random.pick([0xf4, 0xf5, 0xf6, 0xf7])),
    () =>
      Buffer.from(
        random.pick(['fb3ff8000000000000', 'f97e00', 'fb7ff0000000000000'] as const),
        'hex',
      ),
    () =>
      Buffer.from(random.pick(['60', '40', '80', 'a0', '5fff', '9fff', 'c101'] as const), 'hex'),
    () => Buffer.concat([LINK_HEAD, digest]),
    () => Buffer.concat([cborHead(2, 36), LINK_HEAD.subarray(5), digest]),
    () => Buffer.from('d82a49000155000401020304', 'hex'),
    () =>
      text(
        random.pick(['é', '\u{1f600}', '__proto__', 'toString', '/', '\ufeffa', 'x'.repeat(513)]),
      ),
    () => Buffer.concat([cborHead(3, 2), Buffer.from('c328', 'hex')]),
    () => Buffer.from('a2612f61786562797465736178', 'hex'),
    () => Buffer.from(`${'81'.repeat(random.scaled(1, 3000))}00`, 'hex'),
  ]
  return (made[random.int(0, made.length - 1)] ?? (() => Buffer.of(0)))()
}

const text = (value: string): Buffer =>
  Buffer.concat([cborHead(3, Buffer.byteLength(value)), Buffer.from(value)])

function elsewhere({ random, pool }: Mutation): Buffer {
  const other = Buffer.from(pool[random.int(0, pool.length - 1)] ?? Buffer.of(0))
  const tree = cborTree(other)
  if (tree === undefined) return Buffer.of(0xf6)
  const items = [...allItems(tree)]
  const item = items[random.int(0, items.length - 1)] ?? tree
  return other.subarray(item.start, item.end)
}

const parentOf = (items: readonly CborItem[], item: CborItem): CborItem | undefined =>
  items.find(({ children }) => children.includes(item))

/** The list or map around `item` with it twice or without it; of a map the key with its value. */
function withChildren(
  bytes: Buffer,
  parent: CborItem | undefined,
  item: CborItem,
  how: 'twice' | 'out',
): Buffer | undefined {
  if (parent === undefined || (parent.major !== 4 && parent.major !== 5)) return undefined
  const place = parent.children.indexOf(item)
  const first = parent.major === 5 ? place - (place % 2) : place
  const last = parent.major === 5 ? first + 1 : place
  const from = parent.children[first]?.start ?? item.start
  const to = parent.children[last]?.end ?? item.end
  const some = how === 'twice' ? [bytes.subarray(from, to), bytes.subarray(from, to)] : []
  return Buffer.concat([
    bytes.subarray(0, parent.start),
    cborHead(parent.major, parent.value + (how === 'twice' ? 1 : -1)),
    bytes.subarray(parent.body, from),
    ...some,
    bytes.subarray(to),
  ])
}

/** The item of a list in the place of one of its neighbours, and that one in its place. */
function swapped(
  bytes: Buffer,
  parent: CborItem | undefined,
  item: CborItem,
  random: Random,
): Buffer | undefined {
  if (parent?.major !== 4) return undefined
  const other = parent.children[random.int(0, parent.children.length - 1)] ?? item
  const [a, b] = other.start < item.start ? [other, item] : [item, other]
  if (a === b) return undefined
  const parts = [
    [0, a.start],
    [b.start, b.end],
    [a.end, b.start],
    [a.start, a.end],
    [b.end, bytes.length],
  ]
  return Buffer.concat(parts.map(([from, to]) => bytes.subarray(from, to)))
}

/** The same number in a longer form than it needs. */
function longHead({ major, value }: CborItem, random: Random): Buffer {
  const head = Buffer.alloc(9)
  const size = random.pick([1, 2, 4, 8])
  head[0] = (major << 5) | (size === 1 ? 24 : size === 2 ? 25 : size === 4 ? 26 : 27)
  head.writeBigUInt64BE(
    BigInt.asUintN(size * 8, BigInt(Math.trunc(value))) << BigInt(64 - size * 8),
    1,
  )
  return head.subarray(0, 1 + size)
}

/** A text or bytes of another length, with the right head; a number near by. */
function resized(
  bytes: Buffer,
  { start, body, end, major, value }: CborItem,
  random: Random,
): Buffer {
  if (major === 0 || major === 1) return cborHead(major, Math.max(0, value + random.int(-2, 2)))
  if (major !== 2 && major !== 3) return bytes.subarray(start, end)
  const content = bytes.subarray(body, end)
  const longer =
    random.next() < 0.5 ? Buffer.concat([content, content.subarray(0, 1)]) : content.subarray(1)
  const changed = Buffer.from(longer)
  if (changed.length > 0 && random.next() < 0.5) {
    const at = random.int(0, changed.length - 1)
    changed[at] = (changed[at] ?? 0) ^ (1 << random.int(0, 7))
  }
  return Buffer.concat([cborHead(major, changed.length), changed])
}

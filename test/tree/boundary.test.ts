/** Where nodes end: `src/tree` against the rule written down a second time over plain arrays. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cborCidOf, cidKey } from '../../src/model/cid.ts'
import { idOfKey, keyOf } from '../../src/model/entity-id.ts'
import { decodeNode } from '../../src/model/node.ts'
import { keyAt, RunBuilder, type Run } from '../../src/model/run.ts'
import { belowThreshold, hashKey, MAX_WEIGHT, murmur3 } from '../../src/tree/boundary.ts'
import { childRun } from '../../src/tree/child-run.ts'
import { Chunker, type CutNode } from '../../src/tree/chunker.ts'
import { arbitraryId, entry } from '../helpers/entries.ts'
import { byId, naiveEnds, naiveHash } from '../helpers/naive-tree.ts'
import { Random } from '../helpers/random.ts'
import { BlockMap, merge } from '../helpers/tree.ts'

const cid = cborCidOf(Buffer.from('a child'))

function runOf(ids: readonly string[], level: number): Run {
  const keys = ids.map(keyOf)
  if (level > 0) {
    return childRun(
      keys.map((last) => ({
        last,
        count: 1,
        live: 1,
        bytes: 1,
        exp: null,
        cid,
        cidKey: cidKey(cid),
      })),
    )
  }
  const builder = new RunBuilder()
  for (const pi of ids) builder.push(entry(pi, { tip: null }), 'linked')
  return builder.take()
}

/** Cuts ids by the chunker, fed in slices of `slice` records. */
function chunk(
  ids: readonly string[],
  level: number,
  chunkSize: number,
  slice = ids.length,
): CutNode[] {
  const run = runOf(ids, level)
  const chunker = new Chunker(level, chunkSize)
  for (let from = 0; from < ids.length; from += slice) {
    chunker.add(run, from, Math.min(ids.length, from + slice))
  }
  chunker.finish()
  return chunker.cut
}

function endsOf(nodes: readonly CutNode[]): number[] {
  let end = -1
  return nodes.map(({ count }) => (end += count))
}

function compare(
  ids: readonly string[],
  level: number,
  chunkSize: number,
  slice?: number,
): number[] {
  const nodes = chunk(ids, level, chunkSize, slice)
  const ends = endsOf(nodes)
  expect(ends).toEqual(naiveEnds(ids, level, chunkSize))
  expect(nodes.map(({ child }) => idOfKey(child.last))).toEqual(ends.map((end) => ids[end]))
  const held = nodes.flatMap(({ block }) => {
    const node = decodeNode(block)
    return Array.from({ length: node.count }, (_, i) => idOfKey(keyAt(node, i)))
  })
  expect(held).toEqual(ids)
  return ends
}

const sorted = (ids: Iterable<string>): string[] =>
  [...new Set(ids)]
    .map((pi) => ({ pi }))
    .sort(byId)
    .map(({ pi }) => pi)

const isLow = (id: string, level: number, chunkSize: number): boolean =>
  naiveHash(Buffer.from(id), level) * chunkSize < 2 ** 34

/** `count` ids in order, each with a suffix that makes `wanted` true of it. */
function idsWith(
  count: number,
  wanted: (id: string, n: number) => boolean,
  prefix = 'W',
): string[] {
  return Array.from({ length: count }, (_, n) => {
    const id = `${prefix}${String(n).padStart(6, '0')}`
    let suffix = 0
    while (!wanted(`${id}${suffix.toString(36)}`, n)) suffix += 1
    return `${id}${suffix.toString(36)}`
  })
}

test('murmur3 agrees with another implementation, for any bytes and any seed', () => {
  const bytes = fc.uint8Array({ maxLength: 600 })
  const seed = fc.oneof(fc.nat(23), fc.integer({ min: 0, max: 2 ** 32 - 1 }))
  fc.assert(
    fc.property(bytes, seed, fc.nat(5), (given, withSeed, offset) => {
      const framed = Buffer.concat([Buffer.alloc(offset, 0xaa), given, Buffer.alloc(3, 0xbb)])
      const hash = murmur3(framed, offset, offset + given.length, withSeed)
      expect(hash).toBe(naiveHash(given, withSeed))
    }),
    { numRuns: 2000 },
  )
})

test('murmur3 gives the published values', () => {
  const hash = (text: string, seed: number): number =>
    murmur3(Buffer.from(text), 0, Buffer.byteLength(text), seed)
  expect(hash('', 0)).toBe(0)
  expect(hash('', 1)).toBe(0x514e28b7)
  expect(hash('test', 0)).toBe(0xba6bd213)
  expect(hash('Hello, world!', 0x9747b28c)).toBe(0x24884cba)
  expect(hash('The quick brown fox jumps over the lazy dog', 0x9747b28c)).toBe(0x2fa826cd)
})

test('a hash is below the threshold exactly when it is less than 2^34 / chunk size', () => {
  const chunkSize = fc.integer({ min: 64, max: 10_000 })
  fc.assert(
    fc.property(chunkSize, fc.integer({ min: -2, max: 2 }), (size, off) => {
      const hash = Math.floor(2 ** 34 / size) + off
      expect(belowThreshold(hash, size)).toBe(BigInt(hash) * BigInt(size) < 2n ** 34n)
    }),
  )
  expect([2 ** 28 - 1, 2 ** 28].map((hash) => belowThreshold(hash, 64))).toEqual([true, false])
})

test('nodes of any ids end where the rule says, on any level and in whatever slices they come', () => {
  const chunkSize = fc.oneof(
    fc.constantFrom(64, 65, 66, 67, 100, 255),
    fc.integer({ min: 64, max: 400 }),
  )
  const anyIds = fc.array(arbitraryId, { minLength: 1, maxLength: 1500, size: 'max' })
  fc.assert(
    fc.property(
      anyIds,
      chunkSize,
      fc.nat(3),
      fc.constantFrom(1, 3, 50, 5000),
      (ids, size, level, slice) => {
        compare(sorted(ids), level, size, slice)
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: 5000 },
  )
})

test('nodes of many ids end where the rule says, for chunk sizes up to 10,000', () => {
  for (const [seed, chunkSize, count] of [
    [1, 64, 20_000],
    [2, 1000, 20_000],
    [3, 4096, 30_000],
    [4, 9999, 30_000],
    [5, 10_000, 45_000],
  ] as const) {
    const random = new Random(seed)
    const ids = sorted(Array.from({ length: count }, () => random.next().toString(36).slice(2)))
    expect(compare(ids, seed % 3, chunkSize, 777).length).toBeGreaterThan(3)
  }
})

test('weight, not number, ends nodes of long ids, and of long and short ids mixed', () => {
  const random = new Random(6)
  const numbered = (n: number): string => String(n).padStart(6, '0')
  const long = Array.from({ length: 6000 }, (_, n) => numbered(n).padEnd(512, 'L'))
  const mixed = Array.from({ length: 9000 }, (_, n) =>
    numbered(n).padEnd(random.int(0, 9) === 0 ? random.int(6, 512) : 6, 'M'),
  )
  // Light first, heavy then: a quarter of the number comes before a quarter of the weight.
  const turning = Array.from({ length: 8000 }, (_, n) =>
    numbered(n).padEnd(n % 4000 < 2600 ? 6 : 512, 'T'),
  )
  for (const ids of [long, mixed, turning]) {
    for (const level of [0, 1]) {
      for (const chunkSize of [10_000, 5000]) {
        const ends = compare(ids, level, chunkSize, 1000)
        expect(ends.length).toBeGreaterThan(1)
      }
    }
  }
  const heavy = (id: string): boolean => !isLow(id, 0, 10_000)
  const never = idsWith(4000, (id) => heavy(id.padEnd(512, 'N'))).map((id) => id.padEnd(512, 'N'))
  compare(never, 0, 10_000)
})

test('a last node may be exactly full by number; one record more, and it ends at its lowest hash', () => {
  for (const chunkSize of [64, 65, 100, 1000, 10_000]) {
    const ids = idsWith(chunkSize + 1, (id) => !isLow(id, 0, chunkSize))
    expect(compare(ids.slice(0, -1), 0, chunkSize)).toEqual([chunkSize - 1])
    const [end = 0] = compare(ids, 0, chunkSize)
    const hashes = ids.slice(0, chunkSize).map((id) => hashKey(id, 0))
    const quarter = Math.ceil(chunkSize / 4) - 1
    expect(end).toBe(hashes.indexOf(Math.min(...hashes.slice(quarter))))
  }
})

for (const [level, overhead] of [
  [0, 76],
  [1, 100],
] as const) {
  test(`a last node of level ${level} may be exactly full by weight`, () => {
    const weight = overhead + 512
    const count = Math.floor((MAX_WEIGHT - overhead - 2) / weight)
    const padded = (id: string): string => id.padEnd(512, 'P')
    const ids = idsWith(count, (id) => !isLow(padded(id), level, 10_000)).map(padded)
    // What is left for the id of one record more.
    const room = MAX_WEIGHT - count * weight - overhead
    for (const [bytes, nodes] of [
      [room, 1],
      [room + 1, 2],
    ] as const) {
      let ending = 0
      const filler = (): string => `X${ending.toString(36)}`.padEnd(bytes, 'F')
      while (isLow(filler(), level, 10_000)) ending += 1
      expect(compare([...ids, filler()], level, 10_000)).toHaveLength(nodes)
    }
  })
}

test('a low hash counts from the record that reaches a quarter on, and not before it', () => {
  for (const chunkSize of [64, 65, 66, 67, 68, 10_000]) {
    const quarter = Math.ceil(chunkSize / 4) - 1
    for (const at of [quarter - 1, quarter, quarter + 1, chunkSize - 1]) {
      const ids = idsWith(chunkSize + 20, (id, n) => isLow(id, 0, chunkSize) === (n === at))
      const [end] = compare(ids, 0, chunkSize)
      if (at >= quarter) expect(end).toBe(at)
      else expect(end).not.toBe(at)
    }
  }
})

test('runs without a threshold end, and with nothing but such ends, are cut by the rule', () => {
  const band = (id: string): number => Math.floor(hashKey(id, 0) / 2 ** 26)
  for (const [name, wanted] of [
    ['none low', (id: string) => !isLow(id, 0, 64)],
    ['all low', (id: string) => isLow(id, 0, 64)],
    ['falling', (id: string, n: number) => band(id) === 63 - (n % 60)],
    ['rising', (id: string, n: number) => band(id) === 4 + (n % 60)],
    ['one band', (id: string) => band(id) === 40],
  ] as const) {
    const ends = compare(idsWith(1500, wanted, name), 0, 64, 10)
    expect(ends.length).toBeGreaterThan(1500 / 64)
  }
})

test('of equal lowest hashes the first one ends the node', () => {
  const seen = new Map<number, string>()
  const pairs: (readonly [string, string])[] = []
  for (let n = 0; pairs.length < 12; n++) {
    const id = `T${String(n).padStart(7, '0')}`
    const hash = hashKey(id, 0)
    const first = seen.get(hash)
    if (first !== undefined && hash >= 2 ** 28 && hash < 2 ** 31.5) pairs.push([first, id])
    seen.set(hash, id)
  }
  for (const [first, second] of pairs) {
    const higher = (id: string): boolean => hashKey(id, 0) > hashKey(first, 0)
    const before = idsWith(20, higher, 'A')
    const between = idsWith(10, higher, `${first}.`)
    const after = idsWith(60, higher, 'Z')
    const ids = [...before, first, ...between, second, ...after]
    expect(sorted(ids)).toEqual(ids)
    expect(compare(ids, 0, 64)[0]).toBe(20)
  }
})

test('the root is the first level of one node: 0 and 1 entries, and 1 more than a full leaf', async () => {
  for (const [count, leaves] of [
    [0, 1],
    [1, 1],
    [64, 1],
    [65, 2],
  ] as const) {
    const ids = idsWith(count, (id) => !isLow(id, 0, 64))
    const store = new BlockMap()
    const built = await merge(
      ids.map((pi) => entry(pi)),
      { store, chunkSize: 64 },
    )
    expect(built.leafCount).toBe(leaves)
    expect(store.blocks.size).toBe(leaves === 1 ? 1 : leaves + 1)
  }
})

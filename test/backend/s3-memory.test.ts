/** What a store in a bucket holds in memory while much goes through it, counted in bytes. */
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { PACK_BYTES } from '../../src/backend/s3/pack.ts'
import { PackWriter } from '../../src/backend/s3/pack-writer.ts'
import { rawCidOf, type Block } from '../../src/model/cid.ts'
import { bytesWithin } from '../../src/s3/body.ts'
import type { Bucket } from '../../src/s3/bucket.ts'
import { totalOf, useSites } from './s3-kit.ts'

const newSite = useSites()
const MIB = 1 << 20
const blockOf = (bytes: Uint8Array): Block => ({ cid: rawCidOf(bytes), bytes })
const blocksOf = (count: number, size: number, from = 0): Block[] =>
  Array.from({ length: count }, (_, i) => blockOf(Buffer.alloc(size, `${from + i} `)))

test('there are three packs in memory at most, those on their way among them, in rooms used again', async () => {
  const rooms = new Set<ArrayBufferLike>()
  const waiting: (() => void)[] = []
  let [atOnce, most, packs] = [0, 0, 0]
  const bucket: Partial<Bucket> = {
    put: async (_key, bytes) => {
      packs += 1
      atOnce += bytes.length
      most = Math.max(most, atOnce)
      rooms.add(bytes.buffer)
      await new Promise<void>((resolve) => void waiting.push(resolve))
      atOnce -= bytes.length
    },
  }
  const writer = new PackWriter(bucket as Bucket, { onPack: () => {}, now: () => 0 })
  const write = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) await writer.put(blocksOf(2, MIB / 2, i * 2))
    await writer.flush()
  }
  const work = write()
  let written = false
  void work.then(() => (written = true))
  while (!written) {
    const before = packs
    await new Promise(setImmediate)
    // The oldest lands when the writer does nothing else.
    if (packs === before) waiting.shift()?.()
  }
  await work
  expect(packs).toBe(8)
  expect(rooms.size).toBe(3)
  expect(most).toBeLessThan(3 * (PACK_BYTES + MIB))
})

test('the index of a pack of many small blocks is not kept: it is read when one of them is looked for', async () => {
  const site = await newSite()
  const backend = await site.open()
  const staging = await backend.stage('main', 'test')
  const asked = async (block: Block): Promise<number> => {
    const before = totalOf(site.proxy)
    const [bytes] = await backend.getBlocks([block.cid])
    expect(Buffer.compare(bytes ?? new Uint8Array(0), block.bytes)).toBe(0)
    return totalOf(site.proxy) - before
  }
  const write = async (blocks: readonly Block[]): Promise<void> => {
    await staging.put(blocks.map((block) => ({ ...block, hold: 'self' })))
    await staging.flush()
  }
  const [few, many] = [blocksOf(100, 50), blocksOf(5_000, 50, 100)]
  await write(few)
  await write(many)
  const [first, second, last] = [many[0], many[2_500], few[50]]
  if (first === undefined || second === undefined || last === undefined) throw new Error('no block')
  expect(await asked(last)).toBe(1)
  expect(await asked(first)).toBe(2)
  expect(await asked(second)).toBe(1)
  expect(await backend.hasBlocks(many.map(({ cid }) => cid))).not.toContain(false)
  await staging.end('dropped')
})

const answerOf = (
  pieces: readonly Uint8Array[],
  said: { readonly ContentLength?: number },
): GetObjectCommandOutput => {
  const Body = (async function* () {
    yield* pieces
  })()
  return { $metadata: {}, Body: Body as never, ...said }
}

test.each<[string, { readonly ContentLength?: number }]>([
  ['right', { ContentLength: 300_000 }],
  ['missing', {}],
  ['too little', { ContentLength: 5 }],
  ['0', { ContentLength: 0 }],
  ['more than there is', { ContentLength: 400_000 }],
  ['more than any memory has', { ContentLength: Number.MAX_SAFE_INTEGER }],
])('a body is read whatever is said of its length: %s', async (_, said) => {
  const pieces = [1, 2, 3].map((value) => Buffer.alloc(100_000, value))
  const whole = await bytesWithin(answerOf(pieces, said), Infinity)
  expect(Buffer.concat(pieces).equals(whole ?? new Uint8Array(0))).toBe(true)
  // Bodies that are refused before they are read are ended.
  const Body = { destroy: () => {} } as never
  if ((said.ContentLength ?? 0) > 299_999)
    expect(await bytesWithin({ $metadata: {}, Body, ...said }, 299_999)).toBeUndefined()
  else expect(await bytesWithin(answerOf(pieces, said), 299_999)).toBeUndefined()
})

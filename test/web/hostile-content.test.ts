/** Content that was made to have no end, no text, or no date. */
import { expect, test } from 'vitest'
import { DAG_PB, printCid, RAW } from '../../src/client/cid.ts'
import { readLines } from '../../src/client/lines.ts'
import { contentOf } from '../../web/src/content-view.ts'
import { hrefTo } from '../../web/src/app/router.ts'
import { absoluteText, momentText, tickText } from '../../web/src/ui/format.ts'
import { diffValues } from '../../web/src/views/entities/json-diff.ts'
import { jsonText } from '../../web/src/views/entities/json-text.ts'

const cidOf = (codec: number, name: number): Uint8Array =>
  Uint8Array.from([1, codec, 0x12, 32, ...new Uint8Array(31), name])

const field = (number: number, bytes: readonly number[] | Uint8Array): number[] => {
  const length =
    bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
  return [number * 8 + 2, ...length, ...bytes]
}

test('a file of files of nothing, wide and deep, comes to an end', async () => {
  const FILE = field(1, [8, 2])
  /** Each level leads a hundred times to the one below it: 100^15 blocks, and not one byte. */
  const level = (n: number): Uint8Array => {
    const link = field(2, field(1, cidOf(DAG_PB, n - 1)))
    return Uint8Array.from([...(n === 0 ? [] : Array(100).fill(link)).flat(), ...FILE] as number[])
  }
  const names = new Map(
    Array.from({ length: 16 }, (_, n) => [printCid(cidOf(DAG_PB, n)), level(n)] as const),
  )
  let asked = 0
  const read = async (cid: string): Promise<Uint8Array> => {
    asked++
    return names.get(cid) ?? new Uint8Array()
  }
  const top = printCid(cidOf(DAG_PB, 15))
  await expect(contentOf(read, top)).rejects.toMatchObject({ code: 'too_large' })
  expect(asked).toBeLessThan(25_000)
  const leaf = printCid(cidOf(RAW, 1))
  expect(await contentOf(async () => new Uint8Array(10), leaf)).toMatchObject({ cut: false })
})

test('an integer that no number holds is text with all its digits, and differs from its neighbour', () => {
  const value = { n: 2n ** 63n }
  expect(jsonText(value)).toMatch(/^\{"n":"?9223372036854775808"?\}$/)
  expect(diffValues([value], [{ n: 2n ** 63n + 1n }]).changes).toHaveLength(1)
  expect(diffValues([value], [{ n: 2n ** 63n }]).changes).toEqual([])
})

test('a time that no date has, and half a character, have a text', () => {
  for (const at of [9e15, -9e15, NaN, Infinity]) {
    for (const text of [absoluteText(at), momentText(at, 0), tickText(at, 1000)])
      expect(text).toBe('at no date')
  }
  expect(hrefTo({ dataset: 'd', view: 'entities', args: ['a\ud800b'] })).toBe(
    '#/d/entities/a%EF%BF%BDb',
  )
})

test('a line without an end is given up', async () => {
  let sent = 0
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    const part = new Uint8Array(1 << 16).fill(97)
    for (; ; sent++) yield part
  }
  await expect(readLines(endless()).next()).rejects.toMatchObject({ code: 'answer_cut' })
  expect(sent).toBeLessThan(100)
})

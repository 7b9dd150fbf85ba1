/** What tips point at: links found without decoding are those of the decoder; JSON lines mean what they say. */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { parseImportLine } from '../../../src/cli/import-line.ts'
import { readLines } from '../../../src/cli/lines.ts'
import { encodeJson, parseContent, printContent } from '../../../src/content/encode.ts'
import { decodeContent, linksOf } from '../../../src/content/links.ts'
import { readContent } from '../../../src/content/read.ts'
import { scanLinks } from '../../../src/content/scan-links.ts'
import {
  bytesEqual,
  cidParts,
  CODEC_DAG_JSON,
  CODEC_DAG_PB,
  cborCidOf,
  rawCidOf,
  type CidBytes,
} from '../../../src/model/cid.ts'
import { dagCborValue } from '../../../src/model/dag-cbor.ts'
import { cborTree, taggedLinks } from '../cbor-items.ts'
import { golden } from '../golden.ts'
import {
  demand,
  hexOf,
  same,
  tokensOf,
  unlessRefused,
  unlessRefusedLater,
  type Target,
} from '../target.ts'

const LINK = CID.decode(cborCidOf(Buffer.from('some content')))
const OLD_LINK = CID.decode(rawCidOf(Buffer.from('older content')).slice(2))
const INLINE = CID.decode(Uint8Array.of(1, 0x55, 0, 3, 1, 2, 3))

/** Whether Cairn takes all of these CIDs. */
const usable = (cids: readonly Uint8Array[]): boolean =>
  cids.every((cid) => unlessRefused(['invalid_entry'], () => cidParts(cid)) !== undefined)

function decodes(decode: () => unknown): { readonly value: unknown } | undefined {
  try {
    return { value: decode() }
  } catch {
    return undefined
  }
}

const sorted = (cids: readonly Uint8Array[]): string => cids.map(hexOf).toSorted().join(' ')

const contentCbor: Target = {
  name: 'content-cbor',
  covers: [
    'content/links.ts:linksOf',
    'content/links.ts:decodeContent',
    'content/scan-links.ts:scanLinks',
    'model/cid.ts:linkOf',
  ],
  kind: 'cbor',
  tokens: tokensOf(
    '0xd82a582500017112',
    '0xd82a',
    '0xa0',
    '0x80',
    '0xf6',
    '0xfb7ff8000000000000',
    '0xfb8000000000000000',
  ),
  seeds: () => [
    ...[
      { a: LINK, b: [OLD_LINK, { c: INLINE }], 1: LINK },
      { text: 'x', deep: [[[{ n: 1.5, big: 2 ** 40, less: -7, yes: true, none: null }]]] },
      [Uint8Array.of(1, 2, 3), '', 'ü'],
      { '/': 'a', bytes: 'b', '10': LINK, '9': INLINE },
      Array.from({ length: 70 }).reduce<unknown>((inner) => [inner], LINK),
      2n ** 64n - 1n,
    ].map((value) => dagCbor.encode(value)),
    ...golden('leaf'),
  ],
  run(bytes) {
    const cid = cborCidOf(bytes)
    const decoded = decodes(() => dagCbor.decode(bytes))
    const scanned = scanLinks(bytes)
    demand(
      scanned === undefined || decoded !== undefined,
      'the library decodes what the scanner takes',
    )
    if (decoded === undefined) {
      demand(
        unlessRefused(['invalid_content'], () => linksOf(cid, bytes)) === undefined,
        'it is refused',
      )
      return
    }
    const tree = cborTree(bytes)
    if (tree === undefined) return
    const expected = taggedLinks(tree, bytes).map((one) => one.subarray(1))
    if (scanned !== undefined)
      demand(
        scanned.map(hexOf).join() === expected.map(hexOf).join(),
        'the scanner finds the links',
      )
    const found = unlessRefused(
      usable(expected) ? ['invalid_content'] : ['invalid_content', 'invalid_entry'],
      () => linksOf(cid, bytes),
    )
    if (found !== undefined)
      demand(sorted(found) === sorted(expected), 'the links are those of the block')
    unlessRefused(['invalid_content'], () => printContent(decoded.value))
  },
}

function linksIn(value: unknown): Uint8Array[] {
  if (value instanceof CID) return [value.bytes]
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return []
  return Object.values(value).flatMap(linksIn)
}

/** dag-json and dag-pb are decoded by the library alone: its links, found by their class. */
interface Library {
  readonly decode: (bytes: Uint8Array) => unknown
  readonly encode: (value: never) => Uint8Array
}

function decodedContent(
  name: string,
  codec: number,
  { decode, encode }: Library,
  more: Pick<Target, 'kind' | 'seeds' | 'tokens'>,
): Target {
  return {
    name,
    covers: ['content/links.ts:linksOf', 'content/links.ts:decodeContent'],
    ...more,
    run(bytes) {
      const head = codec === CODEC_DAG_JSON ? [1, 0xa9, 0x02] : [1, codec]
      const cid = Uint8Array.from([...head, ...rawCidOf(bytes).subarray(2)])
      const decoded = decodes(() => decode(bytes))
      const value = unlessRefused(['invalid_content'], () => decodeContent(cid, codec, bytes))
      demand((decoded === undefined) === (value === undefined), 'it decodes as the library does')
      const expected = decodes(() => linksIn(decoded?.value))?.value as Uint8Array[] | undefined
      // The library makes the usual CID of one that is spelled out; encoded again, such a block differs.
      const again = decodes(() => encode(decoded?.value as never))?.value as Uint8Array | undefined
      const asWritten = again !== undefined && bytesEqual(again, bytes)
      const codes =
        expected !== undefined && asWritten && usable(expected)
          ? (['invalid_content'] as const)
          : (['invalid_content', 'invalid_entry'] as const)
      const found = unlessRefused(codes, () => linksOf(cid, bytes))
      if (found !== undefined && expected !== undefined)
        demand(sorted(found) === sorted(expected), 'the links are those of the block')
    },
  }
}

const JSON_SEEDS: readonly unknown[] = [
  { a: LINK, b: [OLD_LINK, { c: INLINE }], bytes: Uint8Array.of(1, 2) },
  [1, -1, 1.5, 2 ** 53 - 1, null, true, 'ü\n"'],
  { '': { '': '' } },
]

const contentJson = decodedContent('content-json', CODEC_DAG_JSON, dagJson, {
  kind: 'json',
  tokens: tokensOf(
    '{"/":"',
    '{"/":{"bytes":"AQI"}}',
    '1e400',
    '-0',
    '9007199254740993',
    '\\u002f',
    '\\ud800',
    '"__proto__":',
    '['.repeat(2000),
  ),
  seeds: () => JSON_SEEDS.map((value) => dagJson.encode(value)),
})

const PB_SEEDS = [
  { Links: [] },
  { Data: Uint8Array.of(8, 1), Links: [{ Hash: LINK, Name: 'a', Tsize: 3 }] },
  { Data: Buffer.from('0802120568656c6c6f1805', 'hex'), Links: [] },
  {
    Data: Buffer.from('080218102008', 'hex').subarray(0, 4),
    Links: [
      { Hash: OLD_LINK, Name: '', Tsize: 9 },
      { Hash: INLINE, Name: '', Tsize: 3 },
    ],
  },
]

const PB_TOKENS = tokensOf(
  '0x0a',
  '0x12',
  '0x1a',
  '0x0802',
  '0x0801',
  '0x0805',
  '0x1220',
  '0xffffffffffffffff7f',
  '0x80808080808080808001',
)

const contentPb = decodedContent('content-pb', CODEC_DAG_PB, dagPb, {
  kind: 'bytes',
  tokens: PB_TOKENS,
  seeds: () => PB_SEEDS.map((node) => dagPb.encode(node)),
})

const MOST_READ = 1 << 20

const contentFile: Target = {
  name: 'content-file',
  covers: ['content/read.ts:readContent'],
  kind: 'bytes',
  tokens: PB_TOKENS,
  seeds: () => PB_SEEDS.map((node) => dagPb.encode(node)),
  mostMs: 1000,
  async run(bytes) {
    const cid = Uint8Array.from([1, CODEC_DAG_PB, ...rawCidOf(bytes).subarray(2)])
    const store = {
      getBlocks: async (cids: readonly CidBytes[]) =>
        cids.map((one) => (bytesEqual(one.subarray(-32), cid.subarray(-32)) ? bytes : undefined)),
    }
    await unlessRefusedLater(
      ['invalid_content', 'invalid_entry', 'block_missing', 'content_missing'],
      async () => {
        const content = await readContent(store, cid)
        demand(content.kind === 'bytes', 'a file is bytes')
        let read = 0
        for await (const part of content.bytes) {
          read += part.length
          demand(read <= MOST_READ, 'one small block is no large file')
        }
      },
    )
  },
}

const LINES = [
  '{"pi":"a","ver":1,"tip":null,"ts":1700000000000,"exp":null}',
  '{"pi":"01ABC","tip":"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku","ts":"2026-05-01T12:00:00Z"}',
  '{"pi":"é","value":{"a":[1,2.5,null,{"/":{"bytes":"AQID"}}],"l":{"/":"bafkqaaa"}}}',
  '{"pi":"n","value":12345678901234567}',
  '{"pi":"s","value":"\\u002f","exp":"2026-05-01T12:00:00.5+02:00"}',
  '{"pi":"f","value":[-0,1e20,1e-7,0.1,1.0,9007199254740991]}',
]

const importLine: Target = {
  name: 'import-line',
  covers: [
    'cli/import-line.ts:parseImportLine',
    'model/time.ts:readTime',
    'content/encode.ts:parseContent',
  ],
  kind: 'json',
  tokens: tokensOf(
    '"value":',
    '"/"',
    '\\u002F',
    '1e400',
    '-0',
    '1.0',
    '"__proto__":',
    '{"/":"',
    '123456789012345678',
  ),
  seeds: () => LINES.map((line) => Buffer.from(line)),
  run(bytes) {
    const text = Buffer.from(bytes).toString()
    const line = unlessRefused(['invalid_entry', 'invalid_content'], () =>
      parseImportLine({ number: 7, text }),
    )
    if (line === undefined || !('value' in line.entry)) return
    const block = unlessRefused(['invalid_content', 'too_large'], () =>
      encodeJson((line.entry as { value: unknown }).value),
    )
    // The shortcut through plain JSON must not read another value than DAG-JSON does.
    const slow = decodes(() => encodeJson((parseContent(text) as { value: unknown }).value).bytes)
    if (slow !== undefined)
      demand(
        block !== undefined && same(slow.value as Uint8Array, block.bytes),
        'a line means what DAG-JSON says',
      )
    if (block !== undefined) printedAgain(block.bytes)
  },
}

/** Printing and reading again leaves a value as it is, where DAG-JSON can say it. */
function printedAgain(bytes: Uint8Array): void {
  const text = decodes(() => printContent(dagCborValue(bytes)))
  if (text === undefined) return
  const again = decodes(() => encodeJson(parseContent(text.value as string)).bytes)
  if (again === undefined) return
  const twice = decodes(() => printContent(dagCborValue(again.value as Uint8Array)))
  demand(twice?.value === text.value, 'what is printed is read and printed the same')
}

const lines: Target = {
  name: 'lines',
  covers: ['cli/lines.ts:readLines'],
  kind: 'bytes',
  tokens: tokensOf('\n', '\r\n', '0x0a0a0a', '0xff', '0xc3', '0xefbbbf', 'x'.repeat(200)),
  seeds: () => [Buffer.from('\x03a\nbb\n\nccc'), Buffer.from('\x01é\n日本\n'), Buffer.from('\x05')],
  async run(bytes) {
    const size = 1 + ((bytes[0] ?? 0) % 16)
    const rest = bytes.subarray(1)
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < rest.length; at += size) yield rest.subarray(at, at + size)
    }
    const read = await unlessRefusedLater(['invalid_entry', 'too_large'], async () => {
      const all: string[] = []
      for await (const batch of readLines(chunks(), 100)) {
        for (const { number, text } of batch) demand(number === all.push(text), 'lines are counted')
      }
      return all
    })
    if (read === undefined) return
    const whole = Buffer.from(rest).toString()
    const expected = whole.split('\n')
    if (expected.at(-1) === '') expected.pop()
    demand(
      read.join('\n') === expected.join('\n') && read.length === expected.length,
      'lines are what lies between line ends',
    )
  },
}

export const CONTENT_TARGETS: readonly Target[] = [
  contentCbor,
  contentJson,
  contentPb,
  contentFile,
  importLine,
  lines,
]

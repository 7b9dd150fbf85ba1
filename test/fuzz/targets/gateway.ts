/** What a stranger asks of the gateway, and the blocks that it is asked for. */
import { createHash } from 'node:crypto'
import { asked, queryOf, type GivenQuery } from '../../../src/gateway/ask.ts'
import { contentPathOf } from '../../../src/gateway/content-path.ts'
import { walkEntity } from '../../../src/gateway/entity.ts'
import { shardsUnder, sizeOf, stepInShard, unixFsOf } from '../../../src/gateway/unixfs.ts'
import { cidKey, parseCid, printCid } from '../../../src/model/cid.ts'
import {
  demand,
  same,
  tokensOf,
  unlessRefused,
  unlessRefusedLater,
  type Target,
} from '../target.ts'

const CID = 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'

/** The address is on the first line, the rest is the header Accept. */
const requests: Target = {
  name: 'gateway-asked',
  covers: [
    'gateway/ask.ts:asked',
    'gateway/ask.ts:queryOf',
    'gateway/content-path.ts:contentPathOf',
  ],
  kind: 'bytes',
  maxBytes: 4096,
  tokens: tokensOf(
    'format=raw',
    'format=car',
    'dag-scope=',
    'block',
    'entity',
    '&entity-bytes=-5:*',
    '&',
    'car-dups=y',
    'car-order=unk',
    'car-version=1',
    ';q=0',
    ';q=',
    ';dups="y"',
    '*/*',
    ',',
    'application/vnd.ipld.raw',
    'application/vnd.ipld.car',
    '%2F',
    '%2e%2e',
    '%',
    '/',
    '0xff',
  ),
  seeds: () =>
    [
      `/ipfs/${CID}?format=raw\n`,
      `/ipfs/${CID}/a/b%20c/0?format=car&dag-scope=entity&entity-bytes=0:1023&car-dups=y\n*/*`,
      `/ipfs/Qm/x\ntext/html, application/vnd.ipld.car; version=1; order=dfs; dups=n; q=0.5`,
      `/ipfs/${CID}\napplication/vnd.ipld.raw;q=0.9,application/vnd.ipld.car`,
    ].map((one) => Buffer.from(one)),
  run(bytes) {
    const [url = '', ...rest] = Buffer.from(bytes).toString().split('\n')
    const path = unlessRefused(['usage', 'not_found'], () => contentPathOf(url))
    if (path !== undefined) {
      const { root, segments } = path
      demand(same(parseCid(printCid(root)), root), 'a path begins at a CID')
      demand(
        segments.every((one) => !['', '.', '..'].includes(one)),
        'a path goes down, from name to name',
      )
    }
    const given = givenIn(url)
    const what = unlessRefused(['usage', 'not_acceptable'], () => asked(given, rest.join('\n')))
    if (what === undefined) return
    const again = asked(givenIn(`?${queryOf(what)}`), undefined)
    demand(JSON.stringify(again) === JSON.stringify(what), 'a query asks for the same')
  },
}

function givenIn(url: string): GivenQuery {
  const query = new URLSearchParams(url.split('?').slice(1).join('?'))
  return Object.fromEntries(
    [...query.keys()].map((name) => {
      const all = query.getAll(name)
      return [name, all.length > 1 ? all : all[0]]
    }),
  )
}

/** A dag-pb link to any block, and a node of links and data, in the bytes of protobuf. */
const field = (key: number, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(key, body.length), body])
const linkTo = (name: string): Buffer =>
  field(0x12, Buffer.concat([field(0x0a, parseCid(CID)), field(0x12, Buffer.from(name))]))
const nodeOf = (data: string, ...names: readonly string[]): Buffer =>
  Buffer.concat([...names.map(linkTo), field(0x0a, Buffer.from(data, 'hex'))])

/** Every link leads to the same bytes again: no real DAG is as bad. */
const nodes: Target = {
  name: 'gateway-unixfs',
  covers: ['gateway/unixfs.ts:unixFsOf', 'gateway/entity.ts:walkEntity'],
  kind: 'bytes',
  maxBytes: 16 * 1024,
  tokens: [
    ...tokensOf('0x0801', '0x0802', '0x0805', '0x2004', '0x2822', '0x308002', '0xffffffff0f'),
    linkTo(''),
    linkTo('0A'),
  ],
  seeds: () => [
    nodeOf('08021203616263'),
    nodeOf('0802180620032003', '', ''),
    nodeOf('0801', 'a', 'b'),
    nodeOf('08052822308002', '0A', '1Fname'),
    nodeOf('0800'),
  ],
  async run(bytes) {
    const digest = createHash('sha256').update(bytes).digest()
    const cid = Buffer.concat([Buffer.of(1, 0x70, 0x12, 0x20), digest])
    const node = unlessRefused(['invalid_content'], () => unixFsOf(cid, bytes))
    if (node === undefined) return
    demand(sizeOf(node) >= 0, 'a file has a size')
    demand(node.sizes === undefined || node.sizes.length === node.links.length, 'each link has one')
    if (node.kind === 'shard') {
      demand(shardsUnder(node).length <= node.links.length, 'shards are links')
      for (const level of [0, 1, 63]) {
        const step = stepInShard(node, 'name', level)
        demand(step === undefined || node.links.some((one) => one.cid === step.cid), 'it is a link')
      }
    }
    for (const part of [undefined, { from: 1, to: null }, { from: 1, to: -2 }]) {
      let reads = 0
      const taken = new Set<string>()
      const walk = {
        read: async () => {
          reads += 1
          return bytes
        },
        take: async (met: { readonly cid: Uint8Array }) => {
          const name = cidKey(met.cid)
          return taken.size < taken.add(name).size
        },
        all: async () => {},
      }
      // A link that has another hash leads to no block.
      await unlessRefusedLater(['usage', 'invalid_content', 'invalid_entry'], () =>
        walkEntity(walk, cid, bytes, part),
      )
      demand(reads <= 10_000, 'a walk comes to its end')
    }
  },
}

export const GATEWAY_TARGETS: readonly Target[] = [requests, nodes]

/** What a Kubo node, or something that stands before it, may answer with status 200; and its address. */
import { nodeAddress } from '../../../src/backend/kubo/address.ts'
import { collectGarbage } from '../../../src/backend/kubo/compact.ts'
import { datasetOfPointer, encodeCompatPointer } from '../../../src/backend/kubo/compat-pointer.ts'
import type { KuboClient } from '../../../src/backend/kubo/client.ts'
import { importBlocks } from '../../../src/backend/kubo/dag-import.ts'
import { LeaseFolder, leaseNotes } from '../../../src/backend/kubo/leases.ts'
import { linesOf } from '../../../src/backend/kubo/lines.ts'
import { createMfs } from '../../../src/backend/kubo/mfs.ts'
import { commitNumbers, directoryNumbers } from '../../../src/backend/kubo/paths.ts'
import { readDag } from '../../../src/backend/kubo/read-dag.ts'
import { refusalOf } from '../../../src/backend/kubo/refusals.ts'
import { readStatus } from '../../../src/backend/kubo/status.ts'
import { timeOfName } from '../../../src/backend/kubo/timed-name.ts'
import { unnamedPins, unpinningEnded } from '../../../src/backend/kubo/unpin.ts'
import type { ErrorCode } from '../../../src/errors.ts'
import { cborCidOf, cidMatches } from '../../../src/model/cid.ts'
import { decodeCommit } from '../../../src/model/commit.ts'
import { golden } from '../golden.ts'
import { demand, tokensOf, unlessRefused, unlessRefusedLater, type Target } from '../target.ts'

const CID_TEXT = 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const BLOCK = Buffer.from('a0', 'hex')
const ROOT = cborCidOf(BLOCK)

/** A node that answers everything with these bytes. */
function answering(bytes: Uint8Array): KuboClient {
  const answer = Buffer.from(bytes)
  return {
    address: 'http://127.0.0.1:5001',
    deadlines: { readMs: 1, writeMs: 1, retryMs: 1 },
    read: async () => answer,
    write: async () => answer,
    stream: async function* () {
      for (let at = 0; at < answer.length; at += 37) yield answer.subarray(at, at + 37)
    },
    close: () => {},
  }
}

const REFUSALS: readonly ErrorCode[] = [
  'backend_refused',
  'backend_unavailable',
  'backend_timeout',
  'content_missing',
  'no_space',
  'invalid_car',
  'busy',
]

/** One parser a case: the first byte of the input says which. */
const PARSERS: readonly ((client: KuboClient) => Promise<void>)[] = [
  async (client) => {
    const names = await createMfs(client).list('/cairn')
    demand(names === undefined || names.every((one) => typeof one === 'string'), 'names are texts')
    demand(
      commitNumbers(names ?? []).every((one) => Number.isSafeInteger(one)),
      'commits have numbers',
    )
    demand(
      directoryNumbers(names ?? []).every((one) => Number.isSafeInteger(one)),
      'and directories',
    )
  },
  async (client) => {
    const pins = await unnamedPins(client, new Set([CID_TEXT]))
    demand(
      [...pins.keys()].every((one) => one === CID_TEXT),
      'pins that were asked for',
    )
  },
  async (client) => {
    demand(typeof (await unpinningEnded(client)) === 'boolean', 'it has ended or not')
  },
  async (client) => {
    const { sizeBytes, freeBytes, notes } = await readStatus(client, '0.43.0')
    const numbers = [sizeBytes, freeBytes].every((one) => one === undefined || Number.isFinite(one))
    demand(numbers && notes.every((one) => typeof one === 'string'), 'sizes are numbers')
  },
  async (client) => {
    const { before, after } = await collectGarbage(client)
    demand(
      [before, after].every((one) => one === undefined || Number.isFinite(one)),
      'sizes are numbers',
    )
  },
  async (client) => importBlocks(client, [ROOT], [{ cid: ROOT, bytes: BLOCK }]),
  async (client) => {
    const folder = new LeaseFolder(
      createMfs(client),
      '/cairn/leases',
      () => 1_700_000_000_000,
      () => {},
    )
    const notes = await leaseNotes(folder, () => {})
    demand(
      notes.every((one) => typeof one === 'string'),
      'notes are texts',
    )
    folder.stop()
  },
  async (client) => {
    for await (const { cid, bytes } of readBlocks(client))
      demand(cid.length > 0 && bytes.length >= 0, 'blocks')
  },
]

async function* readBlocks(
  client: KuboClient,
): AsyncGenerator<{ cid: Uint8Array; bytes: Uint8Array }> {
  for await (const batch of readDag(client, ROOT)) {
    for (const block of batch) {
      if (cidMatches(block.cid, block.bytes)) yield block
    }
  }
}

const LINES = (...values: readonly unknown[]): string =>
  values.map((one) => JSON.stringify(one)).join('\n')

const ANSWERS: readonly string[] = [
  JSON.stringify({ Entries: [{ Name: '0000000001', Type: 0, Size: 0, Hash: '' }] }),
  LINES({ Cid: CID_TEXT, Type: 'recursive', Name: '' }, { Cid: 'x', Type: 'direct' }),
  JSON.stringify([
    { Active: true, Command: 'pin/ls' },
    { Active: false, Command: 'pin/rm' },
  ]),
  JSON.stringify({
    RepoSize: 5,
    StorageMax: 10,
    Datastore: { Spec: { mounts: [{ child: { sync: true }, mountpoint: '/' }] }, GCPeriod: '1h' },
    diskinfo: { free_space: 7 },
    runtime: { os: 'linux' },
  }),
  JSON.stringify({ RepoSize: 5 }),
  LINES({ Root: { Cid: { '/': CID_TEXT }, PinErrorMsg: '' } }, { Stats: { BlockCount: 1 } }),
  JSON.stringify({ note: 'x', since: 1, renewed: 2 }),
  '',
]

const answers: Target = {
  name: 'kubo-answers',
  covers: [
    'backend/kubo/lines.ts:linesOf',
    'backend/kubo/status.ts:readStatus',
    'backend/kubo/unpin.ts:unnamedPins',
    'backend/kubo/read-dag.ts:readDag',
  ],
  kind: 'json',
  mostMs: 2000,
  tokens: tokensOf(
    'null',
    '[]',
    '{}',
    '"Entries":null',
    '\n',
    '{"Root":null}',
    '{"Stats":null}',
    '<html>',
    '"PinErrorMsg":"x"',
    '0xff',
  ),
  seeds: () => [...ANSWERS.map((one) => Buffer.from(one)), ...golden('car')],
  async run(bytes) {
    for (const parse of PARSERS) await unlessRefusedLater(REFUSALS, () => parse(answering(bytes)))
    const lines: string[] = []
    for await (const line of linesOf(answering(bytes).stream('x', {}))) lines.push(line)
    const expected = Buffer.from(bytes)
      .toString()
      .split('\n')
      .filter((one) => one !== '')
    demand(
      lines.length === expected.length || !isText(bytes),
      'lines are what lies between line ends',
    )
    for (const status of [401, 500, 502, 404]) {
      const error = refusalOf(status, Buffer.from(bytes), 'a call')
      unlessRefused(['access_denied', ...REFUSALS], () => {
        throw error
      })
    }
  },
}

const isText = (bytes: Uint8Array): boolean =>
  Buffer.from(Buffer.from(bytes).toString()).equals(bytes)

const mirror: Target = {
  name: 'kubo-pointer',
  covers: [
    'backend/kubo/compat-pointer.ts:datasetOfPointer',
    'backend/kubo/timed-name.ts:timeOfName',
    'backend/kubo/address.ts:nodeAddress',
  ],
  kind: 'json',
  tokens: tokensOf(
    '"written_by":"cairn"',
    '"check":',
    '"dataset":null',
    'http://user:p%40ss@host:5001/',
    '20260501T120000.000Z-0123456789ab',
    '%zz',
  ),
  seeds: () => {
    const commits = golden('commit').map((one) => decodeCommit(one).commit)
    return [
      ...commits.flatMap((one) => [
        encodeCompatPointer('arke-v1', one),
        encodeCompatPointer('arke-v2', one),
      ]),
      ...golden('commit'),
      ...[
        'http://user:p%40ss@127.0.0.1:5001/',
        'https://host/api',
        '20260501T120000.000Z-0123456789ab',
      ].map((one) => Buffer.from(one)),
    ]
  },
  run(bytes) {
    const text = Buffer.from(bytes).toString()
    const dataset = datasetOfPointer(bytes)
    demand(dataset === undefined || typeof dataset === 'string', 'a dataset has a name')
    const time = timeOfName(text)
    demand(time === undefined || Number.isSafeInteger(time), 'a time is one')
    const address = unlessRefused(['config'], () => nodeAddress(text, undefined))
    demand(
      address === undefined || (address.url.username === '' && address.url.password === ''),
      'an address has no secret',
    )
  },
}

export const NODE_TARGETS: readonly Target[] = [answers, mirror]

/** What a server may answer that is asked over HTTP: a peer of a cluster, the server of a bucket. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openCluster } from '../../../src/cluster/client.ts'
import { peerOf, pinStateOf, sharedPinOf } from '../../../src/cluster/answers.ts'
import type { ErrorCode } from '../../../src/errors.ts'
import { cidKey, parseCid, printCid } from '../../../src/model/cid.ts'
import { parseBucketAddress } from '../../../src/s3/address.ts'
import { Bucket } from '../../../src/s3/bucket.ts'
import {
  demand,
  same,
  tokensOf,
  unlessRefused,
  unlessRefusedLater,
  type Target,
} from '../target.ts'

/** The first byte says with which status; no length is told, so a body ends where it ends. */
const STATUSES = [200, 200, 200, 204, 206, 404, 403, 412, 500, 503]
let answer: Uint8Array = new Uint8Array(0)
let asked = 0
/** Far above what any of the calls needs. */
const MOST_REQUESTS = 100
let server: Promise<Server> | undefined

/** Answers all that is asked with the same bytes, and drops the connection of who never stops asking. */
function started(): Promise<Server> {
  return new Promise((resolve) => {
    const made = createServer((request, response) => {
      request.resume()
      asked += 1
      if (asked > MOST_REQUESTS) return void request.destroy()
      const status = STATUSES[(answer[0] ?? 0) % STATUSES.length] ?? 200
      response.writeHead(status, { connection: 'close' }).end(answer.subarray(1))
    })
    made.unref()
    made.listen(0, '127.0.0.1', () => resolve(made))
  })
}

async function answering(bytes: Uint8Array): Promise<string> {
  const { port } = (await (server ??= started())).address() as AddressInfo
  answer = bytes
  asked = 0
  return `http://127.0.0.1:${port}`
}

const CID_TEXT = 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const CID = parseCid(CID_TEXT)
const PIN = {
  cid: CID_TEXT,
  name: 'a name',
  type: 'pin',
  metadata: { cairn: 'main' },
  replication_factor_min: 1,
  replication_factor_max: 2,
}
const PEER = { id: '12D3', peername: 'one', version: '1.1.5', error: '', ipfs: { error: 'down' } }
const STATE = {
  cid: CID_TEXT,
  peer_map: { '12D3': { peername: 'one', status: 'pinned', error: '' } },
}

const CLUSTER_REFUSALS: readonly ErrorCode[] = [
  'backend_refused',
  'backend_unavailable',
  'access_denied',
  'not_found',
  'not_replicated',
]

const isLine = (text: string): boolean => text.length <= 300 && !/[\p{Cc}\n]/u.test(text)

const answers: Target = {
  name: 'cluster-answers',
  covers: [
    'cluster/answers.ts:peerOf',
    'cluster/answers.ts:pinStateOf',
    'cluster/answers.ts:sharedPinOf',
  ],
  kind: 'json',
  tokens: tokensOf('null', '[]', '"cid":{}', '"peer_map":null', '"type":"pin"', '-1', '1e99'),
  seeds: () => [PIN, PEER, STATE].map((one) => Buffer.from(JSON.stringify(one))),
  run(bytes) {
    let value: unknown
    try {
      value = JSON.parse(Buffer.from(bytes).toString())
    } catch {
      return
    }
    const peer = unlessRefused(['backend_refused'], () => peerOf(value))
    demand(peer === undefined || Object.values(peer).every(isLine), 'a peer says short lines')
    const pin = unlessRefused(['backend_refused'], () => sharedPinOf(value))
    if (pin !== undefined) {
      demand(same(parseCid(printCid(pin.cid)), pin.cid), 'a pin has a CID')
      demand(isLine(pin.name), 'and a short name')
      demand([pin.min, pin.max].every(Number.isSafeInteger), 'and its numbers')
    }
    const state = unlessRefused(['backend_refused'], () => pinStateOf(value))
    const told = state?.peers.flatMap((one) => Object.values(one)) ?? []
    demand(told.every(isLine), 'the state of a pin is short lines')
  },
}

const lines = (...values: readonly unknown[]): Buffer =>
  Buffer.from(`\0${values.map((one) => JSON.stringify(one)).join('\n')}`)

const peers: Target = {
  name: 'cluster-server',
  covers: ['cluster/client.ts:openCluster'],
  kind: 'bytes',
  mostMs: 2000,
  maxBytes: 8 * 1024,
  tokens: tokensOf('\n', 'null', '{}', '{"message":"', 'not part of the pinset', '<html>', '0xff'),
  seeds: () => [
    lines(PIN, PIN),
    lines(PEER),
    lines(STATE),
    lines(PIN, { message: 'x' }),
    Buffer.from('\x05{"message":"pin is not part of the pinset"}'),
    Buffer.from('\x08{"message":"not enough peers to allocate CID"}'),
  ],
  async run(bytes) {
    const cluster = openCluster({
      url: await answering(bytes),
      token: undefined,
      deadlineMs: 10_000,
    })
    const ask = <T>(call: () => Promise<T>): Promise<T | undefined> =>
      unlessRefusedLater(CLUSTER_REFUSALS, call)
    await ask(() => cluster.peers())
    await ask(async () => {
      for await (const { cid } of cluster.pins()) demand(cid.length > 0, 'a pin has a CID')
    })
    const states = await ask(() => cluster.states([CID]))
    demand(states === undefined || states.has(cidKey(CID)), 'what was asked for is answered')
    await ask(() => cluster.pin({ cid: CID, name: 'n', metadata: {}, min: 1, max: 2 }))
    await ask(() => cluster.recover(CID))
    await ask(() => cluster.unpin(CID))
    demand(asked <= MOST_REQUESTS, 'nobody asks for ever')
  },
}

const LIST = (what: string): string =>
  `\0<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><Prefix/>${what}</ListBucketResult>`
const CONTENT =
  '<Contents><Key>packs/a</Key><LastModified>2026-05-01T12:00:00.000Z</LastModified><ETag>&quot;1&quot;</ETag><Size>7</Size></Contents>'

const BUCKET_REFUSALS: readonly ErrorCode[] = [
  'access_denied',
  'backend_refused',
  'backend_timeout',
  'backend_unavailable',
  'store_not_found',
  'unauthenticated',
]

const GET_LIMIT = 1024

const buckets: Target = {
  name: 'bucket-server',
  covers: ['s3/bucket.ts:Bucket.pages', 's3/errors.ts:bucketError'],
  kind: 'bytes',
  mostMs: 2000,
  maxBytes: 8 * 1024,
  tokens: tokensOf(
    '<IsTruncated>true</IsTruncated>',
    '<IsTruncated>false</IsTruncated>',
    CONTENT,
    '<KeyCount>1</KeyCount>',
    '<NextContinuationToken>a</NextContinuationToken>',
    '<NextKeyMarker>a</NextKeyMarker>',
    '<NextPartNumberMarker>1</NextPartNumberMarker>',
    '<Code>NoSuchBucket</Code>',
    '<Code>SlowDown</Code>',
    '<Error>',
    '</Error>',
    '<',
    '&#0;',
    '<!DOCTYPE x [<!ENTITY a "b">]>',
    '&a;',
    '<Size>-1</Size>',
    '<__proto__>',
    '0xff',
  ),
  seeds: () =>
    [
      LIST(`<KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>${CONTENT}`),
      LIST('<IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>'),
      LIST(
        '<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken><NextPartNumberMarker>1</NextPartNumberMarker><NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>b</NextUploadIdMarker>',
      ),
      LIST('<IsTruncated>true</IsTruncated>'),
      `\0${'x'.repeat(4000)}`,
      '\x06<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>',
      '\x05<Error><Code>NoSuchBucket</Code></Error>',
      '\0<DeleteResult><Error><Key>a</Key><Code>SlowDown</Code></Error></DeleteResult>',
    ].map((one) => Buffer.from(one)),
  async run(bytes) {
    const endpoint = await answering(bytes)
    process.env['AWS_ACCESS_KEY_ID'] ??= 'nobody'
    process.env['AWS_SECRET_ACCESS_KEY'] ??= 'nothing'
    const bucket = new Bucket(parseBucketAddress(`//bucket?endpoint=${endpoint}`), { retryMs: 0 })
    const ask = <T>(call: () => Promise<T>): Promise<T | undefined> =>
      unlessRefusedLater(BUCKET_REFUSALS, call)
    try {
      const listing = await ask(() => bucket.list(''))
      const told = Buffer.from(bytes).toString()
      demand(listing === undefined || !isCut(told), 'a page that says that more follows is no end')
      const infos = listing?.objects ?? []
      demand(
        infos.every(({ key, size }) => typeof key === 'string' && typeof size === 'number'),
        'an object has a key and a size',
      )
      await ask(() => bucket.uploads.unfinished(''))
      await ask(() => bucket.uploads.parts('key', 'upload'))
      await ask(() => bucket.head('key'))
      await ask(() => bucket.delete(['key']))
      const got = await ask(() => bucket.get('key', { limit: GET_LIMIT }))
      demand((got?.bytes.length ?? 0) <= GET_LIMIT, 'no more is read than may be')
      const part = await ask(() => bucket.getRange('key', 0, GET_LIMIT))
      demand((part?.bytes.length ?? 0) <= GET_LIMIT, 'and no more than was asked for')
      demand(asked <= MOST_REQUESTS, 'nobody asks for ever')
    } finally {
      bucket.close()
    }
  },
}

/** As it was written, without anything that could take it back. */
const isCut = (text: string): boolean => text === LIST('<IsTruncated>true</IsTruncated>')

export const SERVER_TARGETS: readonly Target[] = [answers, peers, buckets]

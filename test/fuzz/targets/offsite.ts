/** The names of what lies in buckets, their addresses, and the copies of backups that are kept there. */
import { basename, dirname, join } from 'node:path'
import {
  commitKey,
  markKey,
  numberOf,
  packKey,
  parseCommitKey,
  parseMarkKey,
  parsePackKey,
} from '../../../src/backend/s3/layout.ts'
import { isCarName } from '../../../src/backup/name.ts'
import { chooseCopy } from '../../../src/offsite/choose.ts'
import { isCopyName, readOffsite } from '../../../src/offsite/listing.ts'
import { parseOffsite } from '../../../src/offsite/place.ts'
import { parseBucketAddress, printBucketAddress } from '../../../src/s3/address.ts'
import { holding, NOW } from '../holding.ts'
import { demand, tokensOf, unlessRefused, type Target } from '../target.ts'
import { SIDECAR } from './files.ts'

const ADDRESSES = [
  '//bucket/prefix/more?endpoint=http://127.0.0.1:9000&region=eu-1&class=STANDARD_IA',
  '//my.bucket-1',
  '//bucket/a=b@c/?endpoint=https://host/path%2520x',
]
const INDEX = new Uint8Array(6)
const LOCATED = ['endpoint', 'region', 'class', 'cache']

const names: Target = {
  name: 'bucket-names',
  covers: [
    'backend/s3/layout.ts:parseCommitKey',
    'backend/s3/layout.ts:parseMarkKey',
    'backend/s3/layout.ts:parsePackKey',
    'offsite/place.ts:parseOffsite',
    's3/address.ts:parseBucketAddress',
  ],
  kind: 'bytes',
  maxBytes: 400,
  tokens: tokensOf(
    '&',
    '%26',
    '%25',
    '%2B',
    '%23',
    '+',
    '#',
    '?',
    '/',
    '..',
    '.healed',
    '\n',
    's3:',
    '@',
    'constructor=1',
    '__proto__=1',
    'toString=',
    '&endpoint=http://host/a',
    '&region=',
    'cache=',
  ),
  seeds: () =>
    [
      ...ADDRESSES,
      ...ADDRESSES.map((one) => `s3:${one}`),
      commitKey('main', 7),
      markKey('main', 'floor', 7),
      markKey('main', 'folded', 0),
      packKey(NOW, 4000, false, INDEX),
      packKey(NOW, 1, true, INDEX),
    ].map((one) => Buffer.from(one)),
  run(bytes) {
    const text = Buffer.from(bytes).toString()
    const commit = parseCommitKey(text)
    demand(
      commit === undefined || commitKey(commit.dataset, commit.number) === text,
      'the key of a commit is made as it was read',
    )
    const mark = parseMarkKey(text)
    const madeMark = mark && basename(markKey('main', mark.kind, mark.number))
    demand(madeMark === undefined || text.endsWith(`/${madeMark}`), 'and that of a mark')
    const pack = parsePackKey(text)
    demand(
      pack === undefined || [pack.time, pack.indexAt].every((one) => Number.isSafeInteger(one)),
      'a pack has its numbers',
    )
    const number = numberOf(text)
    demand(number === undefined || Number.isSafeInteger(number), 'a key ends with a number')
    checkAddress(text)
    const place = unlessRefused(['config'], () => parseOffsite(text))
    if (place === undefined) return
    const again = parseOffsite(printBucketAddress(place))
    demand(
      again.bucket === place.bucket &&
        again.prefix === place.prefix &&
        again.endpoint === place.endpoint &&
        again.region === undefined,
      'an address that is printed is read again',
    )
  },
}

function checkAddress(text: string): void {
  const address = unlessRefused(['config'], () => parseBucketAddress(text, ['cache']))
  if (address === undefined) return
  const query = new URLSearchParams(text.slice(text.indexOf('?') + 1))
  demand(
    !text.includes('?') || [...query.keys()].every((name) => LOCATED.includes(name)),
    'no parameter is passed over',
  )
  const { prefix, endpoint = 'http://host' } = address
  demand(prefix === '' || (prefix.endsWith('/') && !prefix.startsWith('/')), 'a prefix is one')
  demand(!prefix.split('/').includes('..'), 'a prefix leads nowhere else')
  const { username, password } = new URL(endpoint)
  demand(username === '' && password === '', 'an endpoint has no secret')
}

const CAR = SIDECAR.filename
const JSON_NAME = CAR.replace(/\.car$/, '.json')

/** The names are on the first line, what every sidecar says is the rest. */
const copies: Target = {
  name: 'offsite-copies',
  covers: ['offsite/listing.ts:readOffsite'],
  kind: 'bytes',
  maxBytes: 8 * 1024,
  tokens: tokensOf(
    '\t',
    '\n',
    '../',
    '/',
    '\\',
    '.',
    '.car',
    '.car.age',
    '.json',
    '.sha256',
    '0xff',
  ),
  seeds: () => [
    Buffer.from(`${CAR}\t${JSON_NAME}\t../${CAR}\t.hidden.car\n${JSON.stringify(SIDECAR)}`),
    Buffer.from(`${CAR}.age\t${JSON_NAME}\t${CAR}.sha256\n{}`),
    Buffer.from(`${CAR}\na.car\n`),
    Buffer.from(
      `${CAR}\t${JSON_NAME}\n${JSON.stringify({ ...SIDECAR, since: SIDECAR.snapshot_cid })}`,
    ),
  ],
  async run(bytes) {
    const [line = '', ...rest] = Buffer.from(bytes).toString().split('\n')
    const sidecar = Buffer.from(rest.join('\n'))
    const listed = [...new Set(line.split('\t'))].map((key) => {
      const size = key.endsWith('.json') ? sidecar.length : SIDECAR.size_bytes
      return { key, size, etag: '', modified: NOW }
    })
    const listing = await readOffsite(holding(sidecar, listed))
    for (const key of listing.objects.keys()) {
      demand(dirname(join('/folder', key)) === '/folder', 'a copy stays in its folder')
      demand(isCopyName(key) && !key.startsWith('.'), 'a copy is not hidden')
    }
    for (const { paths, sidecar: told } of listing.backups) {
      demand(listing.objects.get(paths.car)?.size === told.size_bytes, 'a copy has its size')
    }
    const cars = [...listing.objects.keys()].filter(isCarName)
    const told = [
      ...listing.backups.map(({ paths }) => paths.car),
      ...listing.unfinished,
      ...listing.damaged.map(({ path }) => path),
    ]
    demand(
      cars.every((car) => told.filter((one) => one === car).length === 1),
      'each CAR is a copy, unfinished or damaged',
    )
    for (const which of ['newest', 'seq:7', CAR, line]) {
      unlessRefused(
        ['not_found', 'invalid_car', 'usage', 'base_missing', 'format_unsupported'],
        () => chooseCopy(listing, { dataset: undefined, fallback: 'main', which }, 's3://bucket'),
      )
    }
  },
}

export const OFFSITE_TARGETS: readonly Target[] = [names, copies]

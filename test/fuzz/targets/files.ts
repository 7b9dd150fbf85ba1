/** Small text files that a person or another program may have written: beside backups, settings, reports. */
import { rmSync, writeFileSync } from 'node:fs'
import { lastSuccessIn } from '../../../src/backup/drill-report.ts'
import {
  parseCarName,
  parseTimestamp,
  printCarName,
  printTimestamp,
} from '../../../src/backup/name.ts'
import { parseSidecar, printSidecar, type Sidecar } from '../../../src/backup/sidecar.ts'
import { parseCount, parseJsonObject, parseTimeFlag } from '../../../src/cli/parse.ts'
import { parseSpan } from '../../../src/cli/retention-options.ts'
import { parseConfigFile } from '../../../src/config/config-file.ts'
import { parseDotenv } from '../../../src/config/dotenv.ts'
import { bytes as bytesKind, duration, parseAs } from '../../../src/config/kinds.ts'
import { checkPolicy } from '../../../src/retention/policy.ts'
import { parseRetention } from '../../../src/tasks/retention.ts'
import { Ledger } from '../../../src/verify/ledger.ts'
import { scratch } from '../scratch.ts'
import { demand, tokensOf, unlessRefused, type Target } from '../target.ts'

const jsonSeeds = (...values: readonly unknown[]): Uint8Array[] =>
  values.map((value) => Buffer.from(JSON.stringify(value)))

export const SIDECAR: Omit<Sidecar, 'cid_counts'> & { readonly cid_counts: object } = {
  schema: 'cairn/car-sidecar@v1',
  dataset: 'main',
  identity: 'bidentity',
  generation: 2,
  checkpoint_cid: 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
  snapshot_cid: 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
  seq: 7,
  reason: 'nightly',
  timestamp: '20260501-120000',
  ts: '2026-05-01T12:00:00.000Z',
  next: 100,
  total_count: 90,
  recent_count: 3,
  tips: 'linked',
  content: 'full',
  since: null,
  filename: 'main-7-20260501-120000-abcdefgh.car',
  path: '/backups/main-7-20260501-120000-abcdefgh.car',
  size_bytes: 6000,
  sha256: 'ab'.repeat(32),
  car_sha256: 'ab'.repeat(32),
  car_version: 1,
  blocks: 12,
  cid_counts: { snapshot: 1, total: 12 },
  encrypted: true,
  encrypted_to: ['age1abc'],
  verified_at: '2026-05-01T12:00:01.000Z',
}

const sidecar: Target = {
  name: 'sidecar',
  covers: ['backup/sidecar.ts:parseSidecar'],
  kind: 'json',
  seeds: () => jsonSeeds(SIDECAR, { ...SIDECAR, since: SIDECAR.snapshot_cid, encrypted_to: [] }),
  run(bytes) {
    const parsed = unlessRefused(['invalid_car', 'format_unsupported'], () =>
      parseSidecar(Buffer.from(bytes).toString()),
    )
    if (parsed === undefined) return
    const { seq, next, size_bytes, dataset, encrypted_to, timestamp, ts } = parsed
    const counts = [
      seq,
      next,
      size_bytes,
      parsed.generation,
      parsed.total_count,
      parsed.recent_count,
      parsed.blocks,
    ]
    demand(
      counts.every((one) => Number.isSafeInteger(one) && one >= 0),
      'its counts are counts',
    )
    demand(
      /^[a-z0-9_-]+$/.test(dataset) && Array.isArray(encrypted_to),
      'its fields have their types',
    )
    demand(parseTimestamp(timestamp) !== undefined, 'its moment is one')
    demand(!Number.isNaN(new Date(ts).getTime()), 'its time is one')
    const again = parseSidecar(printSidecar(parsed))
    demand(JSON.stringify(again) === JSON.stringify(parsed), 'it is printed and read the same')
  },
}

const carName: Target = {
  name: 'car-name',
  covers: ['backup/name.ts:parseCarName', 'backup/name.ts:parseTimestamp'],
  kind: 'bytes',
  maxBytes: 300,
  tokens: tokensOf(
    '.car',
    '.age',
    '-',
    '00000101-000000',
    '20260231-000000',
    '99991231-235959',
    '20261231-235960',
  ),
  seeds: () =>
    [
      'main-7-20260501-120000-abcdefgh.car',
      'a-0-20240229-235959-22222222.car.age',
      '20260501-120000',
    ].map((one) => Buffer.from(one)),
  run(bytes) {
    const text = Buffer.from(bytes).toString()
    const ms = parseTimestamp(text)
    if (ms !== undefined) demand(printTimestamp(ms) === text, 'a moment is printed as it was read')
    const name = parseCarName(text)
    if (name === undefined) return
    demand(Number.isSafeInteger(name.seq), 'its number is one')
    const again = parseCarName(printCarName(name))
    demand(JSON.stringify(again) === JSON.stringify(name), 'a name is printed and read the same')
  },
}

const SUCCESS = { finished_at: '2026-05-01T12:00:00.000Z', snapshot: 'bafy', rto_ms: 5, rpo_ms: 6 }

const drillReport: Target = {
  name: 'drill-report',
  covers: ['backup/drill-report.ts:lastSuccessIn'],
  kind: 'json',
  mostMs: 1000,
  seeds: () =>
    jsonSeeds(
      { schema: 'cairn/drill-report@v1', dataset: 'main', status: 'passed', last_success: SUCCESS },
      { dataset: 'main', last_success: null },
    ),
  async run(bytes) {
    const path = scratch.file('drill-report.json', bytes)
    const found = await lastSuccessIn(path, 'main')
    if (found === null) return
    const { finished_at, snapshot, rto_ms, rpo_ms } = found
    demand(
      typeof finished_at === 'string' && typeof snapshot === 'string',
      'a success has its texts',
    )
    demand(!Number.isNaN(Date.parse(finished_at)), 'a success has its moment')
    demand(
      [rto_ms, rpo_ms].every((one) => Number.isFinite(one)),
      'a success has its numbers',
    )
  },
}

const OF = { location: 'lmdb:/data', dataset: 'main', identity: 'bidentity' }
const PART = {
  id: 'spine:1',
  proved: 1_700_000_000_000,
  blocks: 3,
  bytes: 900,
  problems: [],
  unlisted: 0,
}
const PROBLEM = {
  cid: 'bafy',
  kind: 'leaf',
  state: 'missing',
  code: 'block_missing',
  message: 'gone',
  firstSeen: 1,
  lastSeen: 2,
}

const ndjson = (...values: readonly unknown[]): Uint8Array =>
  Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))

const ledger: Target = {
  name: 'ledger',
  covers: ['verify/ledger.ts:Ledger.open'],
  kind: 'bytes',
  mostMs: 1000,
  maxBytes: 8 * 1024,
  tokens: tokensOf(
    '\n',
    'null',
    '"problems":[',
    '-1',
    '1e99',
    '"next":{"cid":null,"at":0}',
    '"canonical":true',
    '0xff',
    '{}',
    '"__proto__"',
    '"damaged"',
    '"missing"',
  ),
  seeds: () => [
    ndjson({ format: 'cairn/ledger@v1', ...OF }, PART, {
      ...PART,
      id: 'log:0',
      proved: null,
      next: { cid: 'bafy', at: 3 },
    }),
    ndjson(
      { format: 'cairn/ledger@v1', ...OF },
      { ...PART, problems: [PROBLEM], unlisted: 1, canonical: true },
    ),
  ],
  async run(bytes) {
    const folder = scratch.folder()
    try {
      const { path } = await Ledger.open(folder, OF)
      writeFileSync(path, bytes)
      const opened = await Ledger.open(folder, OF)
      const problems = [...opened.problems()]
      demand(
        problems.every(({ problem }) => typeof problem.message === 'string'),
        'problems have their texts',
      )
      demand(opened.note === undefined || opened.size === 0, 'one that cannot be read says nothing')
      await opened.save()
      const again = await Ledger.open(folder, OF)
      demand(again.note === undefined && again.size === opened.size, 'what is saved is read again')
      demand(
        JSON.stringify([...again.problems()]) === JSON.stringify(problems),
        'and so are its problems',
      )
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

const configFile: Target = {
  name: 'config-file',
  covers: ['config/config-file.ts:parseConfigFile', 'config/kinds.ts:parseAs'],
  kind: 'json',
  seeds: () =>
    jsonSeeds({ store: 'lmdb:/data', chain_limit: 300, lmdb_map: '128MiB', deadline: '30s' }),
  run(bytes) {
    const names = new Set(['store', 'chain_limit', 'lmdb_map', 'deadline'])
    const values = unlessRefused(['config'], () =>
      parseConfigFile(Buffer.from(bytes).toString(), 'cairn.json', (name) => names.has(name)),
    )
    for (const [name, value] of values ?? []) {
      demand(names.has(name) && typeof value === 'string', 'settings are texts of known names')
      for (const kind of [bytesKind, duration]) {
        const number = unlessRefused(['config'], () => parseAs(kind, value, name, 'a file', false))
        demand(number === undefined || Number.isSafeInteger(number), 'amounts are whole numbers')
      }
    }
  },
}

const dotenv: Target = {
  name: 'dotenv',
  covers: ['config/dotenv.ts:parseDotenv'],
  kind: 'bytes',
  tokens: tokensOf(
    'CAIRN_STORE=',
    '"',
    "'",
    '\\',
    '$',
    '\\$',
    '#',
    '\n',
    '\r\n',
    '=',
    'export ',
    ' ',
    '0xefbbbf',
  ),
  seeds: () =>
    ['# settings\nCAIRN_STORE=lmdb:/data\nA=\'b c\'\n\nB="x\\n\\$y\\""\n', 'A=1', 'A=\nB=""\n'].map(
      (one) => Buffer.from(one),
    ),
  run(bytes) {
    const text = Buffer.from(bytes).toString()
    const values = unlessRefused(['config'], () =>
      parseDotenv(text, '.env', (name) => name === 'CAIRN_STOER'),
    )
    for (const [name, { value, line }] of values ?? []) {
      demand(/^[A-Za-z_][A-Za-z0-9_]*$/.test(name), 'names are names')
      const raw = (text.split('\n')[line - 1] ?? '').trim()
      demand(raw.startsWith(`${name}=`), 'a value stands on its line')
      const given = raw.slice(name.length + 1)
      if (!/^["']/.test(given)) demand(value === given, 'a bare value is what stands there')
      else if (!given.includes('\\'))
        demand(value === given.slice(1, -1), 'a quoted value is what stands between the quotes')
    }
  },
}

const flags: Target = {
  name: 'flags',
  covers: [
    'cli/parse.ts:parseTimeFlag',
    'cli/parse.ts:parseCount',
    'cli/parse.ts:parseJsonObject',
    'cli/retention-options.ts:parseSpan',
    'tasks/retention.ts:parseRetention',
  ],
  kind: 'bytes',
  maxBytes: 400,
  tokens: tokensOf(
    '2026-02-31T00:00:00Z',
    '+24:00',
    '-00:00',
    'T',
    'Z',
    '9007199254740992',
    '.000000001',
    't',
    ' ',
  ),
  seeds: () =>
    [
      '2026-05-01T12:00:00Z',
      '2024-02-29t23:59:59.5+05:30',
      '1700000000000',
      '{"owner":"me"}',
      'last=10,hourly=24,within=30d,tag=release',
      '0',
    ].map((one) => Buffer.from(one)),
  run(bytes) {
    const text = Buffer.from(bytes).toString()
    const time = unlessRefused(['usage'], () => parseTimeFlag('--at', text))
    if (time !== undefined) {
      demand(Number.isSafeInteger(time) && time >= 0, 'a time is whole milliseconds')
      const shown = unlessRefused(['usage'], () => parseTimeFlag('--at', String(time)))
      demand(shown === time, 'a time is read again from its number')
    }
    const span = unlessRefused(['usage'], () => parseSpan('--within', text))
    demand(
      span === undefined || (Number.isSafeInteger(span) && span >= 0),
      'a span is whole milliseconds',
    )
    const policy = unlessRefused(['usage'], () => parseRetention(text))
    if (policy !== undefined) checkPolicy(policy)
    const count = unlessRefused(['usage'], () => parseCount('--limit', text, 1))
    demand(count === undefined || (Number.isSafeInteger(count) && count >= 1), 'a count is one')
    const object = unlessRefused(['usage'], () => parseJsonObject('--meta', text))
    demand(object === undefined || !Array.isArray(object), 'an object is one')
  },
}

export const FILE_TARGETS: readonly Target[] = [
  sidecar,
  carName,
  drillReport,
  ledger,
  configFile,
  dotenv,
  flags,
]

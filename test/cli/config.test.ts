import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { parseDotenv } from '../../src/config/dotenv.ts'
import { resolveConfig, type Config, type Given } from '../../src/config/resolve.ts'
import { SETTINGS, SETTING_NAMES, type SettingName } from '../../src/config/schema.ts'
import { maskUrls, redactor } from '../../src/config/secrets.ts'
import { Sandbox } from './sandbox.ts'

let box: Sandbox
let cwd: string

beforeAll(async () => {
  box = await Sandbox.make()
})

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'cairn-config-'))
  return () => rm(cwd, { recursive: true })
})

afterAll(() => box.remove())

const resolve = (given: Partial<Given> = {}): Promise<Config> =>
  resolveConfig({ flags: {}, env: {}, cwd, ...given })

const dotenv = (text: string): Promise<void> => writeFile(join(cwd, '.env'), text)
const configFile = (value: unknown, name = 'cairn.config.json'): Promise<void> =>
  writeFile(join(cwd, name), typeof value === 'string' ? value : JSON.stringify(value))

async function refusal(given: Partial<Given> = {}): Promise<string> {
  const error: unknown = await resolve(given).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'config', hint: expect.any(String) })
  return (error as Error).message
}

test('flags count over environment over .env over config file over defaults', async () => {
  const seen = async (given: Partial<Given> = {}): Promise<readonly unknown[]> => {
    const { values, origins } = await resolve(given)
    return [values.dataset, origins.dataset]
  }
  expect(await seen()).toEqual(['main', 'default'])
  await configFile({ dataset: 'filed' })
  expect(await seen()).toEqual(['filed', `file ${join(cwd, 'cairn.config.json')}`])
  await dotenv('# a comment\n\nCAIRN_DATASET=dotted\n')
  expect(await seen()).toEqual(['dotted', '.env line 3 CAIRN_DATASET'])
  const env = { CAIRN_DATASET: 'surrounding' }
  expect(await seen({ env })).toEqual(['surrounding', 'environment CAIRN_DATASET'])
  expect(await seen({ env, flags: { dataset: 'flagged' } })).toEqual(['flagged', 'flag'])
  expect(await seen({ env: { CAIRN_DATASET: '' } })).toEqual([
    'dotted',
    '.env line 3 CAIRN_DATASET',
  ])
})

test("older names are understood, and Cairn's own count before them", async () => {
  const env = {
    IPFS_API_URL: 'http://a:1/api/v0',
    IPFS_API: 'http://b:2/api/v0',
    INDEX_POINTER_PATH: '/arke/index-pointer',
    CHUNK_SIZE: '500',
    DATA_DIR: '/app/data',
    REBUILD_THRESHOLD: '10',
    EMERGENCY_THRESHOLD: '20',
  }
  const { values } = await resolve({ env })
  expect(values).toMatchObject({
    kubo_url: 'http://a:1',
    index_pointer_path: null,
    compat_path: '/arke/index-pointer',
    chunk_size: 500,
    data_dir: '/app/data',
    store: 'lmdb:/app/data/store',
    rebuild_threshold: 10,
    emergency_threshold: 20,
  })
  const own = await resolve({
    env: { ...env, CAIRN_KUBO_URL: 'http://c:3', CAIRN_DATA_DIR: '/own' },
  })
  expect(own.values).toMatchObject({ kubo_url: 'http://c:3', data_dir: '/own' })
  const { values: rest } = await resolve({ env: { IPFS_API: 'http://b:2/api/v0/' } })
  expect(rest.kubo_url).toBe('http://b:2')
})

test('the store kubo is the node that kubo_url names', async () => {
  const env = { IPFS_API_URL: 'http://node:5001/api/v0' }
  for (const store of ['kubo', 'kubo:']) {
    expect((await resolve({ env, flags: { store } })).values.store).toBe('kubo:http://node:5001')
  }
  const named = await resolve({ env, flags: { store: 'kubo:http://other:5001/api/v0' } })
  expect(named.values.store).toBe('kubo:http://other:5001')
  expect((await resolve({ env })).values.store).toBe('lmdb:./.cairn/store')
})

test('a .env file is read strictly', () => {
  const parse = (text: string): Record<string, string> =>
    Object.fromEntries(
      [...parseDotenv(text, '.env', () => false)].map(([name, { value }]) => [name, value]),
    )
  expect(
    parse('A=1\n  # note\n\nB=\'x # y $z\'\nC="tab\\there \\"q\\" \\$5"\nD=\r\nE=a#b\n'),
  ).toEqual({
    A: '1',
    B: 'x # y $z',
    C: 'tab\there "q" $5',
    D: '',
    E: 'a#b',
  })
  const bad = [
    'A',
    'A =1',
    'A= 1',
    'export A=1',
    'A=1 # comment',
    'A=a b',
    'A="open',
    "A='open",
    'A="x"y',
    'A=$B',
    'A="$B"',
    'A="\\q"',
    '1A=2',
    'A=1\nA=2',
  ]
  for (const text of bad) {
    const line = text.split('\n').length
    expect(() => parse(`# first\n${text}`), text).toThrow(
      new RegExp(`^Line ${line + 1} of .env cannot be read`),
    )
  }
})

test('a mistake in a .env or config file is an error that names it', async () => {
  await dotenv('CAIRN_STORE=memory:\nCAIRN_STROE=x\nOTHER_PROGRAM=1')
  expect(await refusal()).toMatch(
    /^Line 2 of .*\.env cannot be read: there is no setting CAIRN_STROE/,
  )
  await dotenv('OTHER_PROGRAM=1')
  for (const bad of ['{', '[]', { stroe: 'x' }, { store: true }, { chunk_size: 3 }]) {
    await configFile(bad)
    expect(await refusal()).toContain('cairn.config.json')
  }
})

test('the config file is the named one, and then it must be there', async () => {
  await configFile({ dataset: 'named' }, 'other.json')
  await configFile({ dataset: 'found' })
  const dataset = async (given: Partial<Given>): Promise<string> =>
    (await resolve(given)).values.dataset
  expect(await dataset({})).toBe('found')
  expect(await dataset({ configFile: 'other.json' })).toBe('named')
  expect(await dataset({ env: { CAIRN_CONFIG: 'other.json' } })).toBe('named')
  expect(await refusal({ configFile: 'nowhere.json' })).toContain('nowhere.json is not there')
})

test('values that cannot be are refused with their origin', async () => {
  const bad: Partial<Record<SettingName, string>> = {
    chunk_size: '63',
    chain_limit: '0',
    content: 'some',
    cache_bytes: '12 apples',
    deadline: '0s',
    log_level: 'loud',
    rebuild_threshold: '1e3',
  }
  for (const [name, value] of Object.entries(bad)) {
    const message = await refusal({ flags: { [name]: value } })
    expect(message).toBe(`The setting ${name} cannot be "${value}" (flag).`)
  }
  const { values } = await resolve({ flags: { cache_bytes: '2MiB', deadline: '5m' } })
  expect(values).toMatchObject({ cache_bytes: 2_097_152, deadline: 300_000 })
})

test('thresholds must be in order', async () => {
  const fit = (rebuild: string, emergency: string, limit: string): Partial<Given> => ({
    env: { REBUILD_THRESHOLD: rebuild, EMERGENCY_THRESHOLD: emergency, CAIRN_CHAIN_LIMIT: limit },
  })
  await resolve(fit('10', '20', '20'))
  for (const [rebuild, emergency, limit] of [
    ['20', '20', '30'],
    ['30', '20', '40'],
    ['10', '20', '19'],
  ] as const) {
    expect(await refusal(fit(rebuild, emergency, limit))).toContain('thresholds do not fit')
  }
  const { values } = await resolve({ env: { CAIRN_CHAIN_LIMIT: '100' } })
  expect(values).toMatchObject({ rebuild_threshold: 50, emergency_threshold: 80 })
})

test('secrets are masked wherever they stand', () => {
  expect(maskUrls('kubo:http://me:pw@host:1/x and https://token@h')).toBe(
    'kubo:http://***@host:1/x and https://***@h',
  )
  const redact = redactor({
    cluster_token: 'basic:cairn:cluster-secret',
    cluster_url: 'http://me:peer-secret@peer:9094',
    kubo_token: 'basic:admin:top"secret',
    kubo_url: 'http://h',
    store: 'kubo:http://me:url%20secret@h',
    alert_webhook: 'https://hooks.example/T0/secret-path',
  })
  const text = redact(
    `top"secret ${JSON.stringify('top"secret')} ${Buffer.from('admin:top"secret').toString('base64')} url%20secret url secret`,
  )
  expect(text).toBe('*** "***" *** *** ***')
  expect(redact('cluster-secret of cairn, peer-secret of http://me:peer-secret@peer:9094')).toBe(
    '*** of cairn, *** of http://***@peer:9094',
  )
  expect(redact('POST /T0/secret-path of https://hooks.example')).toBe(
    'POST *** of https://hooks.example',
  )
})

test('cairn config shows every setting and its origin, secrets masked', async () => {
  await box.write('.env', "CAIRN_KUBO_TOKEN='bearer:sesame-open'\n")
  const env = { IPFS_API_URL: 'http://me:sesame-open@node:5001/api/v0', CAIRN_CACHE_BYTES: '1GiB' }
  const shown = await box.json(['config', '--store', 'kubo'], { env })
  const settings = shown['settings'] as Record<string, unknown>
  expect(Object.keys(settings)).toEqual(SETTING_NAMES)
  expect(settings).toMatchObject({
    store: { value: 'kubo:http://***@node:5001', origin: 'flag' },
    kubo_url: { value: 'http://***@node:5001', origin: 'environment IPFS_API_URL' },
    kubo_token: { value: '***', origin: '.env line 1 CAIRN_KUBO_TOKEN' },
    cache_bytes: { value: 1_073_741_824, origin: 'environment CAIRN_CACHE_BYTES' },
    dataset: { value: 'main', origin: 'default' },
  })
  expect(shown['config_file']).toBe(null)
  const text = await box.ok(['config', '-v'], { env })
  expect(text).not.toContain('sesame')
  expect(text).toMatch(/^log_level +info +flag$/m)
  await box.write('.env', 'CAIRN_DATASET="half\n')
  expect(await box.fails(['list'])).toMatchObject({ exit: 2, code: 'config' })
  await box.write('.env', '')
})

test('docs/CONFIG.md has the table of the schema', async () => {
  const text = await readFile('docs/CONFIG.md', 'utf8')
  const rows = text.split('\n').filter((line) => line.startsWith('| `'))
  const expected = SETTING_NAMES.map((name) => {
    const { env, flag, kind, fallbackText, fallback, description, secret } = SETTINGS[name]
    const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(', ')
    const value = fallbackText ?? fallback({ data_dir: './.cairn', chain_limit: 10_000 })
    const cells = [
      code([name]),
      flag === undefined ? '-' : code([flag]),
      code(env),
      kind.shape,
      value === null ? '-' : String(value),
      secret === true ? `${description} (secret)` : description,
    ]
    return cells.join(' | ')
  })
  const cells = rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
      .join(' | '),
  )
  expect(cells).toEqual(expected)
})

test('docs/CLI.md describes every command', async () => {
  const { COMMANDS } = await import('../../src/cli/commands.ts')
  const text = await readFile('docs/CLI.md', 'utf8')
  for (const { name } of COMMANDS) expect(text).toContain(`\n### ${name}\n`)
})

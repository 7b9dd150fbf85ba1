/** docker-compose.yml and .env.example, as Compose's own loader reads them, agree with the settings and with each other. */
import { access, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram } from '../../src/cli/program.ts'
import { parseDotenv } from '../../src/config/dotenv.ts'
import { isMistake, resolveConfig } from '../../src/config/resolve.ts'
import { BASIS, SETTINGS, SETTING_NAMES } from '../../src/config/schema.ts'
import { readProject, ROOT, type ComposeService, type Project } from './compose-tool.ts'

const FILE = join(ROOT, 'docker-compose.yml')
const MIB = 1 << 20

/** That of replicas which are services: no setting, as it is a secret. */
const REPLICA_TOKEN = 'CAIRN_TOKEN'
/** Where the library that speaks to buckets looks for keys. */
const BUCKET_KEYS = [
  'AWS_ACCESS_KEY_ID',
  'AWS_REGION',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
]

/** Of no use in a container, or fixed by how it is made. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  'CAIRN_HOST',
  'CAIRN_PORT',
  'CAIRN_BEHIND_PROXY',
  'CAIRN_DATA_DIR',
  'CAIRN_BACKUPS_DIR',
  'CAIRN_CACHE_BYTES',
  'CAIRN_KUBO_URL',
  'CAIRN_TLS_CERT',
  'CAIRN_TLS_KEY',
  'CAIRN_TOKENS_FILE',
  'CAIRN_LOG_FILE',
])

let dir: string
let alone: Project
let whole: Project
let example: ReadonlyMap<string, string>

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-compose-'))
  // A `.env` of whoever works here does not count.
  const env = { COMPOSE_DISABLE_ENV_FILE: '1' }
  alone = await readProject(FILE, [], env)
  whole = await readProject(FILE, ['kubo', 'monitoring'], env)
  const text = await readFile(join(ROOT, '.env.example'), 'utf8')
  const parsed = parseDotenv(text, '.env.example', isMistake)
  example = new Map([...parsed].map(([name, { value }]) => [name, value]))
})

afterAll(() => rm(dir, { recursive: true, force: true }))

const servicesOf = ({ project }: Project): [string, ComposeService][] =>
  Object.entries(project.services)
const service = (name: string): ComposeService => {
  const found = whole.project.services[name]
  if (found === undefined) throw new Error(`there is no service ${name}`)
  return found
}
const seconds = (text: string | undefined): number => {
  const [, m = '0', s = '0'] = /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(text ?? 'none') ?? []
  return Number(m) * 60 + Number(s)
}

test('without profiles it is Cairn alone; with them all others', () => {
  expect(Object.keys(alone.project.services)).toEqual(['cairn'])
  expect(Object.keys(whole.project.services).sort()).toEqual(
    ['cairn', 'grafana', 'ipfs', 'prometheus', 'scrape-token'].sort(),
  )
})

test('every setting reaches the service, or is fixed there', () => {
  const names = SETTING_NAMES.map((name) => SETTINGS[name].env[0] ?? '')
  const passed = names.filter((name) => !NOT_PASSED.has(name))
  expect(whole.passed).toEqual([...passed, ...BUCKET_KEYS, REPLICA_TOKEN].toSorted())
  expect([...NOT_PASSED].filter((name) => !names.includes(name))).toEqual([])
  const fixed = Object.entries(service('cairn').environment ?? {})
  expect(fixed.filter(([, value]) => value !== null).map(([name]) => name)).toEqual(
    expect.arrayContaining(['CAIRN_HOST', 'CAIRN_PORT', 'CAIRN_DATA_DIR', 'CAIRN_BACKUPS_DIR']),
  )
})

test('every name in .env.example is one that Compose asks for, and the other way round', () => {
  const compose = new Set([...Object.keys(whole.variables), ...whole.passed, 'COMPOSE_PROFILES'])
  expect([...example.keys()].filter((name) => !compose.has(name))).toEqual([])
  expect(Object.keys(whole.variables).filter((name) => !example.has(name))).toEqual([])
})

test('the values of .env.example are the defaults, but for what it says', async () => {
  const differs: string[] = []
  for (const [name, value] of example) {
    const compose = whole.variables[name]
    if (compose !== undefined && compose !== value) differs.push(name)
    const setting = SETTING_NAMES.find((one) => SETTINGS[one].env[0] === name)
    if (setting === undefined || compose !== undefined || value === '') continue
    const fallback = SETTINGS[setting].fallback(BASIS)
    const { values } = await resolveConfig({ flags: {}, env: { [name]: value }, cwd: dir })
    if (values[setting] !== fallback) differs.push(name)
  }
  expect(differs).toEqual(['CAIRN_EXPORT_SCHEDULE'])
})

test('.env.example as .env: what the service gets are settings, with these values', async () => {
  const folder = join(dir, 'as-env')
  await mkdir(folder)
  await cp(FILE, join(folder, 'docker-compose.yml'))
  await cp(join(ROOT, '.env.example'), join(folder, '.env'))
  const { project } = await readProject(join(folder, 'docker-compose.yml'))
  const given = project.services['cairn']?.environment ?? {}
  const env = Object.fromEntries(
    Object.entries(given).filter((one): one is [string, string] => one[1] !== null),
  )
  expect(Object.keys(env).filter(isMistake)).toEqual([])
  const { values } = await resolveConfig({ flags: {}, env, cwd: dir })
  expect(values).toMatchObject({
    host: '0.0.0.0',
    behind_proxy: 'yes',
    store: 'lmdb:/data/store',
    backups_dir: '/backups',
    cache_bytes: 64 * MIB,
    export_schedule: '0 3 * * *',
    build_schedule: '0 2 * * *',
    save_rules: '3600:1,300:100,60:10000',
  })
})

test('COMPOSE_PROFILES in .env chooses what runs, and CAIRN_PORT only where it is reached', async () => {
  const folder = join(dir, 'profiles')
  await mkdir(folder)
  await cp(FILE, join(folder, 'docker-compose.yml'))
  await writeFile(
    join(folder, '.env'),
    'COMPOSE_PROFILES=kubo\nCAIRN_STORE=kubo:http://ipfs:5001\nCAIRN_PORT=8123\nBACKUPS_FOLDER=/mnt/b\n',
  )
  const { project } = await readProject(join(folder, 'docker-compose.yml'))
  expect(Object.keys(project.services)).toEqual(['cairn', 'ipfs'])
  const { environment, ports, volumes } = project.services['cairn'] ?? {}
  expect(environment).toMatchObject({ CAIRN_STORE: 'kubo:http://ipfs:5001', CAIRN_PORT: '3000' })
  expect(ports).toMatchObject([{ host_ip: '127.0.0.1', published: '8123', target: 3000 }])
  expect(volumes).toContainEqual(
    expect.objectContaining({ type: 'bind', source: '/mnt/b', target: '/backups' }),
  )
})

test('each service may do little, says little, and is bounded', () => {
  for (const [name, one] of servicesOf(whole)) {
    const said = { name, ...one }
    expect(said).toMatchObject({
      cap_drop: ['ALL'],
      read_only: true,
      security_opt: ['no-new-privileges:true'],
      logging: { driver: 'json-file', options: { 'max-file': '3', 'max-size': '10m' } },
    })
    expect([name, one.privileged ?? false]).toEqual([name, false])
    expect([name, Number(one.mem_limit)]).toEqual([name, expect.any(Number)])
    expect(Number(one.mem_limit)).toBeLessThanOrEqual(1024 * MIB)
    // An image of a version, or built here.
    expect(one.image).toMatch(/^cairn-store$|^[\w./-]+:v?\d+\.\d+\.\d+$/)
    for (const port of one.ports ?? []) expect([name, port.host_ip]).toEqual([name, '127.0.0.1'])
    expect(JSON.stringify(one.volumes ?? [])).not.toContain('docker.sock')
  }
})

test('only the service opens the store, and nothing but it reaches the node', () => {
  const withData = servicesOf(whole).filter(([, { volumes = [] }]) =>
    volumes.some(({ source, target }) => target === '/data' && source === 'data'),
  )
  expect(withData.map(([name]) => name)).toEqual(['cairn', 'scrape-token'])
  expect(service('scrape-token').command?.[0]).toBe('scrape-token')
  expect(service('scrape-token').network_mode).toBe('none')
  const onNode = servicesOf(whole).filter(([, { networks }]) => 'node' in (networks ?? {}))
  expect(onNode.map(([name]) => name)).toEqual(['cairn', 'ipfs'])
  expect(Object.keys(service('ipfs').networks ?? {})).toEqual(['node'])
  expect(whole.project.networks['node']).toMatchObject({ internal: true })
  expect(service('ipfs').ports ?? []).toEqual([])
})

test('what has to wait waits for what it needs, and a node that is not there is not needed', () => {
  expect(service('cairn').depends_on).toEqual({
    ipfs: { condition: 'service_healthy', required: false },
  })
  expect(service('prometheus').depends_on).toMatchObject({
    cairn: { condition: 'service_healthy' },
    'scrape-token': { condition: 'service_completed_successfully' },
  })
  // That of Cairn is in its image.
  for (const name of ['ipfs', 'prometheus', 'grafana'])
    expect([name, service(name).healthcheck?.test?.[0]]).toEqual([name, 'CMD'])
})

test('it gets longer to end than it takes, by default and by .env.example', () => {
  const deadline = Number(SETTINGS.shutdown_deadline.fallback(BASIS)) / 1000
  expect(seconds(service('cairn').stop_grace_period)).toBeGreaterThanOrEqual(deadline + 10)
  expect(seconds(example.get('STOP_GRACE_PERIOD'))).toBeGreaterThanOrEqual(
    seconds(example.get('CAIRN_SHUTDOWN_DEADLINE')) + 10,
  )
})

test('heap and cache fit into the memory of the container', async () => {
  const limit = Number(service('cairn').mem_limit) / MIB
  const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8')
  const heap = Number(/--max-old-space-size=(\d+)/.exec(dockerfile)?.[1])
  expect(limit).toBe(512)
  expect(heap).toBeGreaterThanOrEqual(256)
  // Young objects, buffers, code, what a commit stages.
  expect(limit - heap).toBeGreaterThanOrEqual(160)
  const cache = service('cairn').environment?.['CAIRN_CACHE_BYTES'] ?? ''
  expect(Number.parseInt(cache, 10)).toBeLessThanOrEqual(heap / 4)
})

test('every file that is mounted is there', async () => {
  const files = servicesOf(whole)
    .flatMap(([, { volumes = [] }]) => volumes)
    .filter(({ type }) => type === 'bind')
  expect(files).toHaveLength(6)
  for (const { source, read_only: readOnly } of files) {
    await access(join(ROOT, relative(ROOT, source)))
    expect([source, readOnly]).toEqual([source, true])
  }
})

test('what cron and the documents run in the container are commands that there are', async () => {
  const texts = await Promise.all(
    ['scripts/examples/compose/crontab.example', 'docs/DEPLOY.md', 'docs/UPGRADE.md'].map((name) =>
      readFile(join(ROOT, name), 'utf8'),
    ),
  )
  const calls = [
    ...texts.join('\n').matchAll(/docker compose exec (?:-T )?(\S+) cairn ((?:[a-z-]+ ?)+)/g),
  ]
  expect(calls.length).toBeGreaterThan(3)
  for (const [, where, words = ''] of calls) {
    expect(where).toBe('cairn')
    const program = buildProgram(() => Promise.resolve())
    await program.parseAsync(words.trim().split(' '), { from: 'user' })
  }
})

test('what Compose does not know is found', async () => {
  const broken = join(dir, 'broken.yml')
  const text = await readFile(FILE, 'utf8')
  const wrong = [
    text.replace('mem_limit:', 'memory_limit:'),
    text.replace('condition: service_healthy, required', 'condition: healthy, required'),
    text.replace('- data:/data', '- date:/data'),
    text.replace('networks: [front, node]', 'networks: [front, nodes]'),
  ]
  for (const one of wrong) {
    expect(one).not.toBe(text)
    await writeFile(broken, one)
    await expect(readProject(broken, ['kubo'])).rejects.toThrow(
      /false schema|value must be|undefined (?:network|volume)/,
    )
  }
})

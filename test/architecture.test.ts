/**
 * The layers of ARCHITECTURE.md, held by reading every import: a folder may import itself and what is
 * listed beside it, no files import each other in a circle, and each third-party name appears in one place.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))

/** What each part may import besides itself. A part is a folder of src, or a file directly in it. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  util: ['errors.ts'],
  model: ['errors.ts'],
  store: ['errors.ts', 'model'],
  tree: ['errors.ts', 'model', 'store', 'util'],
  chain: ['errors.ts', 'model', 'store', 'tree'],
  content: ['errors.ts', 'model', 'store'],
  car: ['errors.ts', 'util', 'model', 'store'],
  reach: ['errors.ts', 'util', 'model', 'tree', 'chain', 'content', 'store'],
  s3: ['errors.ts'],
  retention: ['errors.ts'],
  engine: [
    'errors.ts',
    'util',
    'model',
    'store',
    'tree',
    'chain',
    'content',
    'car',
    'reach',
    'retention',
  ],
  backend: ['errors.ts', 'util', 'model', 'store', 'car', 's3'],
  live: ['errors.ts', 'model', 'store', 'content', 'engine'],
  'cairn.ts': ['errors.ts', 'store', 'tree', 'car', 'engine', 'live'],
  client: [],
  remote: ['errors.ts', 'model', 'car', 'engine', 'client'],
  'compose.ts': ['errors.ts', 'store', 'car', 'engine', 'backend', 'remote', 'cairn.ts'],
  'index.ts': [
    'session',
    'errors.ts',
    'compose.ts',
    'model',
    'store',
    'tree',
    'content',
    'car',
    'retention',
    'engine',
    'verify',
    'cairn.ts',
    'live',
  ],
  backup: ['errors.ts', 'util', 'model', 'store', 'car', 'retention', 'engine', 'cairn.ts'],
  verify: ['errors.ts', 'util', 'model', 'store', 'tree', 'reach', 'engine'],
  gateway: ['errors.ts', 'util', 'model', 'store', 'content', 'car', 'reach'],
  cluster: ['errors.ts', 'util', 'model', 'store', 'engine'],
  offsite: ['errors.ts', 'util', 'car', 's3', 'retention', 'engine', 'backup'],
  arke: ['errors.ts', 'util', 'model', 'store', 'content', 'engine', 'cairn.ts'],
  config: ['errors.ts', 'model'],
  tasks: [
    'errors.ts',
    'util',
    'model',
    'store',
    'car',
    'retention',
    'engine',
    'backup',
    'offsite',
    'verify',
    'compose.ts',
    'config',
    'cairn.ts',
    'live',
  ],
  radish: ['errors.ts', 'util', 'model', 'content', 'live'],
  session: [
    'util',
    'errors.ts',
    'model',
    'retention',
    'engine',
    'live',
    'cairn.ts',
    'compose.ts',
    'backup',
    'tasks',
  ],
  jobs: ['errors.ts', 'engine', 'tasks'],
  automation: [
    'errors.ts',
    'util',
    'model',
    'store',
    'retention',
    'engine',
    'backup',
    'config',
    'tasks',
    'jobs',
    'cairn.ts',
  ],
  health: [
    'offsite',
    'errors.ts',
    'util',
    'model',
    'store',
    'retention',
    'engine',
    'backup',
    'config',
    'tasks',
    'automation',
    'cairn.ts',
  ],
  'version.ts': [],
  service: [
    'gateway',
    'errors.ts',
    'version.ts',
    'util',
    'model',
    'store',
    'content',
    'car',
    'retention',
    'engine',
    'backup',
    'verify',
    'compose.ts',
    'config',
    'tasks',
    'jobs',
    'automation',
    'health',
    'cairn.ts',
    'live',
  ],
  cli: [
    'remote',
    'cluster',
    'offsite',
    'radish',
    'session',
    'errors.ts',
    'util',
    'model',
    'config',
    'compose.ts',
    'index.ts',
    'content',
    'car',
    'retention',
    'engine',
    'backup',
    'verify',
    'arke',
    'store',
    'tasks',
    'health',
    'service',
    'client',
    'version.ts',
    'cairn.ts',
    'live',
  ],
}

/** Where a third-party package may be named. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@aws-sdk/client-s3': ['s3/'],
  'age-encryption': ['car/age.ts'],
  lmdb: ['backend/lmdb/'],
  commander: ['cli/'],
  croner: ['automation/cron.ts'],
  pino: ['cli/log.ts', 'service/run/log.ts'],
  fastify: ['service/'],
  '@fastify/ajv-compiler': ['service/http/validators.ts'],
  '@fastify/compress': ['service/server.ts'],
  '@fastify/cors': ['service/server.ts'],
  '@fastify/swagger': ['service/http/openapi.ts'],
  '@fastify/type-provider-typebox': ['service/'],
  typebox: ['service/'],
  'prom-client': ['service/'],
  '@ipld/dag-cbor': ['model/ipld.ts', 'model/dag-cbor.ts', 'content/encode.ts', 'backend/kubo/'],
  cborg: ['model/dag-cbor.ts'],
  '@ipld/dag-json': ['content/'],
  '@ipld/dag-pb': ['content/'],
  'ipfs-unixfs-importer': ['content/encode.ts'],
  'ipfs-unixfs-exporter': ['content/read.ts'],
  multiformats: ['model/', 'content/', 'engine/', 'backend/kubo/', 'arke/links.ts'],
}

interface Import {
  readonly file: string
  readonly target: string
  /** By a call: what is imported is not needed to know the file. */
  readonly isLazy: boolean
}

async function imports(): Promise<Import[]> {
  const files = (await readdir(SRC, { recursive: true })).filter((name) => name.endsWith('.ts'))
  const found: Import[] = []
  for (const file of files) {
    const text = await readFile(join(SRC, file), 'utf8')
    for (const match of text.matchAll(/from '([^'\n]+)'$|import\('([^'\n]+)'\)/gm)) {
      const [, target, called = ''] = match
      found.push({ file, target: target ?? called, isLazy: target === undefined })
    }
  }
  return found
}

const fileOf = ({ file, target }: Import): string => normalize(join(file, '..', target))
const partOf = (path: string): string => path.split('/')[0] ?? path

test('every part imports only what its layer allows, and all of that', async () => {
  const broken: string[] = []
  const used = new Set<string>()
  for (const one of await imports()) {
    const { file, target } = one
    if (!target.startsWith('.')) continue
    const from = partOf(file)
    const to = partOf(fileOf(one))
    used.add(`${from} > ${to}`)
    if (from === to || MAY_IMPORT[from]?.includes(to) === true) continue
    broken.push(`${file} imports ${target}`)
  }
  expect(broken).toEqual([])
  const allowed = Object.entries(MAY_IMPORT).flatMap(([from, to]) =>
    to.map((one) => `${from} > ${one}`),
  )
  expect(allowed.filter((one) => !used.has(one))).toEqual([])
})

test('no file imports itself by way of others, types included', async () => {
  const imported = new Map<string, string[]>()
  for (const one of await imports()) {
    if (one.isLazy || !one.target.startsWith('.')) continue
    imported.set(one.file, [...(imported.get(one.file) ?? []), fileOf(one)])
  }
  const done = new Set<string>()
  const cycles: string[] = []
  const follow = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file)
    if (at >= 0) cycles.push([...way.slice(at), file].join(' > '))
    if (at >= 0 || done.has(file)) return
    for (const next of imported.get(file) ?? []) follow(next, [...way, file])
    done.add(file)
  }
  for (const file of imported.keys()) follow(file, [])
  expect(cycles).toEqual([])
})

test('backends do not know each other', async () => {
  const kinds = ['lmdb', 'kubo', 's3']
  const crossing = (await imports()).filter(({ file, target }) =>
    kinds.some(
      (kind) =>
        file.startsWith(`backend/${kind}/`) &&
        kinds.some((other) => other !== kind && target.startsWith(`../${other}/`)),
    ),
  )
  expect(crossing).toEqual([])
})

test('each third-party package is named in its place, and in each of its places', async () => {
  const broken: string[] = []
  const used = new Set<string>()
  for (const { file, target } of await imports()) {
    if (target.startsWith('.') || target.startsWith('node:')) continue
    const name = target
      .split('/')
      .slice(0, target.startsWith('@') ? 2 : 1)
      .join('/')
    const places = (PACKAGES[name] ?? []).filter((place) => file.startsWith(place))
    for (const place of places) used.add(`${name} in ${place}`)
    if (places.length === 0) broken.push(`${file} imports ${target}`)
  }
  expect(broken).toEqual([])
  const allowed = Object.entries(PACKAGES).flatMap(([name, places]) =>
    places.map((place) => `${name} in ${place}`),
  )
  expect(allowed.filter((one) => !used.has(one))).toEqual([])
})

/** `cairn import-arke`, from files and from a live node in the old layout. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { Command } from 'commander'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { importArkeCommand } from '../../src/cli/command/import-arke.ts'
import { createLog } from '../../src/cli/log.ts'
import { Options } from '../../src/cli/options.ts'
import { Output } from '../../src/cli/output.ts'
import { ProgressReporter } from '../../src/cli/progress.ts'
import { settingFlags } from '../../src/cli/program.ts'
import { openCairn } from '../../src/compose.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { printCid } from '../../src/model/cid.ts'
import { expectRefused } from '../helpers/engine.ts'
import { startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { FIXTURES } from './helpers.ts'

let node: KuboNode
let dir: string

beforeAll(async () => {
  ;[node, dir] = await Promise.all([startKuboNode(), mkdtemp(join(tmpdir(), 'cairn-arke-'))])
})

afterAll(async () => {
  await node.dispose()
  await rm(dir, { recursive: true, force: true })
})

interface Ran {
  readonly stdout: string
  readonly stderr: string
}

/** The command as the program runs it. */
async function run(args: readonly string[], store: string): Promise<Ran> {
  const command = new Command('import-arke').exitOverride()
  importArkeCommand.define(command)
  command.option('--json').option('-d, --dataset <name>').parse(args, { from: 'user' })
  const parsed = command.opts<Record<string, unknown>>()
  const [stdout, stderr] = [collecting(), collecting()]
  const config = await resolveConfig({
    flags: { ...settingFlags(parsed), store },
    env: {},
    cwd: dir,
  })
  const output = new Output({
    stdout: stdout.stream as unknown as NodeJS.WriteStream,
    stderr: stderr.stream as unknown as NodeJS.WriteStream,
    json: parsed['json'] === true,
    quiet: false,
    color: false,
    onClosed: () => {},
  })
  await importArkeCommand.run({
    config,
    reloadConfig: async () => config,
    output,
    progress: new ProgressReporter(output, false),
    log: createLog('silent', output),
    signal: new AbortController().signal,
    args: command.args,
    options: new Options(parsed),
  })
  await output.flush()
  return { stdout: stdout.text(), stderr: stderr.text() }
}

function collecting(): { stream: PassThrough; text: () => string } {
  const parts: Buffer[] = []
  const stream = new PassThrough()
  stream.on('data', (part: Buffer) => parts.push(part))
  return { stream, text: () => Buffer.concat(parts).toString() }
}

async function entitiesOf(store: string, dataset: string): Promise<Record<string, string>> {
  await using cairn = await openCairn(store)
  const entities: Record<string, string> = {}
  for await (const { pi, ver, tip } of (await cairn.dataset(dataset)).entries())
    entities[pi] = `${ver} ${tip === null ? '' : printCid(tip)}`
  return entities
}

async function ask(command: string, query: Record<string, string>, body: string): Promise<string> {
  const form = new FormData()
  form.set('file', new Blob([body]))
  const search = new URLSearchParams(query).toString()
  const url = `${node.url}/api/v0/${command}?${search}`
  const response = await fetch(url, { method: 'POST', body: form })
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}

async function put(value: unknown, storeCodec: string, inputCodec: string): Promise<string> {
  const query = { 'store-codec': storeCodec, 'input-codec': inputCodec, 'allow-big-block': 'true' }
  const answer = await ask('dag/put', query, JSON.stringify(value))
  return (JSON.parse(answer) as { Cid: { '/': string } }).Cid['/']
}

const write = (path: string, text: string): Promise<string> =>
  ask('files/write', { arg: path, create: 'true', parents: 'true', truncate: 'true' }, text)

const ts = (n: number): string => `2025-10-1${n}T12:00:00.000000Z`

/** Two entities and one of the test network, an update since the snapshot, as the last version wrote them. */
async function oldNode(): Promise<Record<string, string>> {
  const manifest = async (pi: string, ver: number): Promise<string> => {
    const metadata = await put({ data: `${pi} ${ver}`, filename: 'm.json' }, 'dag-cbor', 'dag-json')
    const components = { metadata: { '/': metadata } }
    const value = { schema: 'arke/manifest/v1', pi, ver, ts: ts(ver), prev: null, components }
    return put(value, 'dag-cbor', 'dag-json')
  }
  let head: string | null = null
  const event = async (pi: string, ver: number, tip: string): Promise<string> => {
    const prev: { '/': string } | null = head === null ? null : { '/': head }
    const type = ver === 1 ? 'create' : 'update'
    const value = {
      schema: 'arke/event@v1',
      type,
      pi,
      ver,
      tip_cid: { '/': tip },
      ts: ts(ver),
      prev,
    }
    head = await put(value, 'dag-cbor', 'json')
    return head
  }
  const [a, b, t] = await Promise.all([
    manifest('01AAAA', 1),
    manifest('01BBBB', 1),
    manifest('IIAAAA', 1),
  ])
  const chain = [await event('01AAAA', 1, a), await event('01BBBB', 1, b)]
  const row = (pi: string, tip: string, from: string | undefined): unknown => ({
    pi,
    ver: 1,
    tip_cid: { '/': tip },
    ts: ts(1),
    chain_cid: { '/': from },
  })
  const snapshot = {
    schema: 'arke/snapshot@v2',
    seq: 1,
    ts: ts(1),
    event_cid: chain[1],
    total_count: 2,
    entries: [row('01AAAA', a, chain[0]), row('01BBBB', b, chain[1])],
    prev_snapshot: null,
    merkle_root: '',
    cid_count: 0,
    all_cids: [],
    consistency: null,
  }
  const snapshotCid = await put(snapshot, 'dag-json', 'dag-json')
  const newer = await manifest('01AAAA', 2)
  await event('IIAAAA', 1, t)
  const newest = await event('01AAAA', 2, newer)
  const pointer = {
    schema: 'arke/index-pointer@v2',
    event_head: newest,
    latest_snapshot_cid: snapshotCid,
    snapshot_event_cid: chain[1],
    snapshot_seq: 1,
    total_count: 3,
    last_snapshot_trigger: null,
    last_updated: ts(2),
  }
  await write('/arke/index_pointer', JSON.stringify(pointer))
  await write('/arke/index/01/AA/01AAAA.tip', `${newer}\n`)
  await write('/arke/index/01/BB/01BBBB.tip', b)
  await write('/arke/test/index/II/AA/IIAAAA.tip', `${t}\n`)
  return { '01AAAA': `2 ${newer}`, '01BBBB': `1 ${b}`, IIAAAA: `1 ${t}` }
}

test('a live node in the old layout, into an embedded store and into the node itself', async () => {
  const { IIAAAA, ...main } = await oldNode()
  for (const store of [`lmdb:${join(dir, 'live')}`, `kubo:${node.url}`]) {
    const { stdout } = await run([`kubo:${node.url}/api/v0`, '--json'], store)
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'imported',
      pointer: '/arke/index_pointer',
      snapshot: { schema: 'arke/snapshot@v2', seq: 1 },
      whole: true,
      findings: [],
      datasets: [
        { dataset: 'main', content: 'linked', appended: 2 },
        { dataset: 'main-test', content: 'linked', appended: 1 },
      ],
    })
    expect(await entitiesOf(store, 'main')).toEqual(main)
    expect(await entitiesOf(store, 'main-test')).toEqual({ IIAAAA })
    const again = await run([`kubo:${node.url}`], store)
    expect(again.stdout).toContain('imported 2 entities into main (linked): 0 new, 2 there already')
  }
})

test('the pointer may lie elsewhere, and must be there when it is named', async () => {
  await write('/else/pointer', JSON.stringify({ schema: 'arke/index-pointer@v1' }))
  const { stdout } = await run(
    [`kubo:${node.url}`, '--pointer', '/else/pointer', '-n', '--json'],
    'x',
  )
  expect(JSON.parse(stdout)).toMatchObject({ status: 'dry_run', pointer: '/else/pointer' })
  await expectRefused(run([`kubo:${node.url}`, '--pointer', '/no'], 'memory:'), 'not_found')
})

test('a CAR with everything in it, and one without', async () => {
  const store = `lmdb:${join(dir, 'cars')}`
  const whole = await run([join(FIXTURES, 'head-20.car')], store)
  expect(whole.stdout).toBe('imported 20 entities into main (linked): 20 new, 0 there already\n')
  expect(whole.stderr).toContain('missing_event: 2 x ')

  const broken = join(FIXTURES, 'head-3-updated.car')
  const report = join(dir, 'missing.ndjson')
  await expectRefused(run([broken, '-d', 'other', '--report', report], store), 'content_missing')
  const lines = (await readFile(report, 'utf8')).trimEnd().split('\n')
  const kinds = lines.map((line) => (JSON.parse(line) as { kind: string }).kind)
  expect(kinds.filter((kind) => kind === 'missing_manifest')).toHaveLength(3)

  await expectRefused(run([broken, '--report', report], store), 'usage')
  const dry = await run([broken, '-n', '--report', report, '--force'], store)
  expect(dry.stdout).toBe('would import 6 entities into main (linked)\n')
  expect(dry.stderr).toContain('an import would stop here')
  const external = ['-d', 'other', '--content', 'external']
  expect((await run([broken, ...external], store)).stdout).toContain('other (external): 6 new')
  expect(Object.keys(await entitiesOf(store, 'other'))).toHaveLength(6)
})

test('what makes no sense is refused', async () => {
  const car = join(FIXTURES, 'head-3.car')
  await expectRefused(run([car, '--pointer', '/p'], 'memory:'), 'usage')
  await expectRefused(run([car, '--content', 'some'], 'memory:'), 'usage')
  await expectRefused(run([car, '--test-dataset', 'main'], 'memory:'), 'usage')
  await expectRefused(run([car, '--snapshot', 'x'], 'memory:'), 'invalid_entry')
  await expectRefused(run([join(dir, 'none.car')], 'memory:'), 'usage')
})

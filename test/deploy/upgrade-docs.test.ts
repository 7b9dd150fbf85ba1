/** docs/UPGRADE.md: every command of it is run as it stands, on data of the old systems, there and back. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CarFile } from '../../src/car/file.ts'
import { printCid } from '../../src/model/cid.ts'
import { freePort } from '../helpers/free-port.ts'
import { startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { ROOT } from './compose-tool.ts'
import { chapter, commandsOf, place } from './page-shell.ts'

const page = await readFile(join(ROOT, 'docs/UPGRADE.md'), 'utf8')
const OLD_CAR = join(ROOT, 'fixtures/arke/head-20.car')

let box: Sandbox
let node: KuboNode

beforeAll(async () => {
  ;[box, node] = await Promise.all([Sandbox.make(), startKuboNode()])
})

afterAll(async () => {
  await node.dispose()
  await box.remove()
})

async function post(command: string, query: string, file: Uint8Array | string): Promise<void> {
  const body = new FormData()
  body.append('file', new Blob([file]))
  const answer = await fetch(`${node.url}/api/v0/${command}?${query}`, { method: 'POST', body })
  expect([command, answer.status, await answer.text()]).toMatchObject([
    command,
    200,
    expect.anything(),
  ])
}

/** A node as the old system leaves it: its blocks, and the pointer in MFS. */
async function oldNode(): Promise<string> {
  const car = await CarFile.open(OLD_CAR)
  const [root] = car.roots
  await car.close()
  await post('dag/import', 'pin-roots=true', await readFile(OLD_CAR))
  const pointer = JSON.stringify({
    schema: 'arke/index-pointer@v1',
    latest_snapshot_cid: root === undefined ? null : printCid(root),
    snapshot_seq: 1,
    snapshot_count: 20,
    snapshot_ts: '2025-12-01T12:00:00.000000Z',
    recent_chain_head: null,
    recent_count: 0,
    total_count: 20,
    last_updated: '2025-12-01T12:00:00.000000Z',
  })
  await post('files/write', 'arg=/arke/index-pointer&create=true&parents=true', pointer)
  return pointer
}

test('from Arke: look, import, prove, change over, and back again', async () => {
  const pointer = await oldNode()
  const { dir, shell } = await place(box, 'arke', { node: node.url })
  await mkdir(join(dir, 'backups'))
  await cp(OLD_CAR, join(dir, 'backups', 'arke-20.car'))
  const script = commandsOf(chapter(page, '## From Arke'))
  expect(script.match(/^(?:cairn|ipfs) /gm)?.length).toBe(17)
  const out = await shell(script.replaceAll('http://127.0.0.1:5001', node.url))
  expect(out).toContain('would import 20 entities into main (linked)')
  expect(out).toContain('imported 20 entities into main (linked): 20 new, 0 there already')
  expect(out).toContain('imported 20 entities into main (linked): 0 new, 20 there already')
  // At last it is the old pointer that is read.
  expect(out).toContain(pointer)
  const written = await readFile(join(dir, 'written-to-cairn.ndjson'), 'utf8')
  expect(written.trimEnd().split('\n')).toHaveLength(20)
  expect(await readFile(join(dir, 'findings-car.ndjson'), 'utf8')).toContain('missing_event')
})

test('from a server that saves itself: its JSON becomes entities', async () => {
  const { dir, shell } = await place(box, 'cache')
  await mkdir(join(dir, 'backups'))
  const data = {
    'user:1': 'alice@example.com',
    'user:2': { name: 'Bob', tags: ['a', 'ü'] },
    'user:3': null,
  }
  await writeFile(
    join(dir, 'backups', 'cache_main_20251115_161118.json'),
    JSON.stringify({
      type: 'named_cache',
      cache_name: 'main',
      timestamp: '20251115_161118',
      datetime: '2025-11-15T16:11:18.027451',
      item_count: 3,
      data,
    }),
  )
  const out = await shell(commandsOf(chapter(page, '## From a server that saves itself')))
  expect(out).toContain('user:3')
  const values = await shell('cairn export --values --store lmdb:state')
  const found = values
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { pi: string; value: unknown })
  expect(Object.fromEntries(found.map(({ pi, value }) => [pi, value]))).toEqual(data)
})

test('from one version to the next, and back with a CAR', async () => {
  const port = await freePort()
  const data = box.path('next', 'var', 'lib', 'cairn')
  const env = { CAIRN_DATA_DIR: data, CAIRN_PORT: String(port) }
  const { dir, shell } = await place(box, 'next', { env })
  await shell('systemctl start cairn; cairn put user:1 --value 1; cairn put user:2 --value 2')
  const whole = chapter(page, '## From one version to the next')
  const script = commandsOf(whole)
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)
    .replaceAll('/var/lib/cairn', data)
    // The page is built with the program; here the program alone is.
    .replace('smoke.sh --read-only', 'smoke.sh --read-only --without-page')
  const out = await shell(script)
  expect(out).toMatch(/\d+ ok, 0 failed/)
  expect(JSON.parse(await shell('cairn status --json'))).toMatchObject({ total_count: 2 })
  const log = await readFile(join(dir, 'service.log'), 'utf8')
  expect(log.match(/Server started/g)).toHaveLength(3)
  expect(log.match(/Session restored from disk/g)).toHaveLength(2)
  expect(await readFile(join(dir, 'systemctl.log'), 'utf8')).toBe(
    'start cairn\nstop cairn\nstart cairn\nstop cairn\nstart cairn\n',
  )
})

test('what it says of variables is so: each one is known, or has a name that is', async () => {
  const { SETTINGS, SETTING_NAMES } = await import('../../src/config/schema.ts')
  const known = new Set(SETTING_NAMES.flatMap((name) => SETTINGS[name].env))
  for (const [, row = ''] of page.matchAll(/^(\|.*understood.*)$/gm)) {
    const old = [...(row.split('|')[1] ?? '').matchAll(/`([A-Z_]+)/g)].map(([, name = '']) => name)
    expect(old.length).toBeGreaterThan(0)
    for (const name of old) {
      if (name !== 'KEEP_LAST') expect([name, known.has(name)]).toEqual([name, true])
    }
  }
  const named = [...page.matchAll(/\b(CAIRN_[A-Z_]+)=/g)].map(([, name = '']) => name)
  expect(named.length).toBeGreaterThan(4)
  expect(named.filter((name) => !known.has(name))).toEqual([])
})

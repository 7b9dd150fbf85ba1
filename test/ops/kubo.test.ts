/** The ops kit on an IPFS node, with the environment of the scripts that it replaces. */
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fakeNodes, refusal } from '../helpers/fake-node.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { makeKit, parseJson, type Kit } from './kit.ts'

const fakes = fakeNodes()
let kit: Kit
let node: KuboNode

beforeAll(async () => {
  ;[kit, node] = await Promise.all([makeKit(), startKuboNode({ offline: true })])
})

afterAll(async () => {
  await fakes.closeAll()
  await node.dispose()
  await kit.box.remove()
})

test('build, export, restore and checks, with the older names', async () => {
  const older = {
    IPFS_API: `${node.url}/api/v0`,
    INDEX_POINTER_PATH: '/arke/index-pointer',
    BACKUPS_DIR: kit.box.path('backups'),
    SNAPSHOTS_DIR: kit.box.path('snapshots'),
    CHUNK_SIZE: '10000',
  }
  const env = { ...older, CAIRN_STORE: 'kubo' }
  await kit.box.ok(['put', 'inner', '--value', '"inner"'], { env })
  const { tip } = await kit.box.json(['get', 'inner'], { env })
  await kit.box.ok(['put', 'outer', '--value', `{"to":{"/":"${String(tip)}"}}`], { env })

  // From here on nothing but the older names says that a node is meant.
  const built = await kit.run('build-snapshot.sh', [], older)
  expect(built).toMatchObject({ code: 0, stdout: expect.stringMatching(/^baf\w+\n$/) })
  // The pointer of the older system is left alone unless --compat says otherwise.
  await expect(askNode(node.url, 'files/read', { arg: '/arke/index-pointer' })).rejects.toThrow()

  const exported = await kit.run('export-car.sh', [], older)
  const car = exported.stdout.trimEnd()
  expect(car.startsWith(older.BACKUPS_DIR)).toBe(true)
  const restored = await kit.run('restore-from-car.sh', [car, '--as', 'copy'], older)
  expect(parseJson(restored.stdout)).toMatchObject({ entity_count: 2, restored: true })

  // What the node itself exports can be restored, too.
  const query = new URLSearchParams({ arg: built.stdout.trim() }).toString()
  const stock = await fetch(`${node.url}/api/v0/dag/export?${query}`, { method: 'POST' })
  const stockCar = kit.box.path('stock.car')
  await writeFile(stockCar, new Uint8Array(await stock.arrayBuffer()))
  const fresh = { DATA_DIR: kit.box.path('fresh') }
  const fromStock = await kit.run('restore-from-car.sh', [stockCar, '--as', 'main'], fresh)
  expect(parseJson(fromStock.stdout)).toMatchObject({ entity_count: 2, restored: true })
  expect((await kit.run('verify-entity.sh', ['outer'], fresh)).code).toBe(0)

  const health = await kit.run(
    'check-snapshot-health.sh',
    ['--skip', 'disk', '--skip', 'drill'],
    older,
  )
  expect(health).toMatchObject({ code: 0, stdout: expect.stringContaining('OK: car') })

  const sound = await kit.run('verify-entity.sh', ['outer'], older)
  expect(sound).toMatchObject({ code: 0, stdout: expect.stringContaining('values and files: 2') })
  const { Keys } = JSON.parse(await askNode(node.url, 'pin/ls', { type: 'recursive' })) as {
    Keys: Record<string, unknown>
  }
  for (const cid of Object.keys(Keys)) await askNode(node.url, 'pin/rm', { arg: cid })
  await askNode(node.url, 'block/rm', { arg: String(tip) })
  const lost = await kit.run('verify-entity.sh', ['outer'], older)
  expect(lost.code).toBe(5)
  expect(lost.stdout).not.toContain('fully accessible')
  expect(lost.stderr).toContain(String(tip))
})

test('a node that refuses is unhealthy', async () => {
  const url = await fakes.start(refusal('no'), '0.30.0')
  const { code, stdout } = await kit.run('check-snapshot-health.sh', [], {
    CAIRN_STORE: `kubo:${url}`,
  })
  expect(code).toBe(18)
  expect(stdout).toMatch(/^CRITICAL: store/m)
})

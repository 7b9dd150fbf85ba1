/** The command line on a Kubo node: a real one, and fakes that refuse. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fakeNodes, refusal } from '../helpers/fake-node.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { CID, ndjson, Sandbox } from './sandbox.ts'

const fakes = fakeNodes()
let box: Sandbox
let node: KuboNode

beforeAll(async () => {
  ;[box, node] = await Promise.all([Sandbox.make(), startKuboNode()])
})

afterAll(async () => {
  await fakes.closeAll()
  await node.dispose()
  await box.remove()
})

test('the main jobs work on a node', async () => {
  const env = {
    CAIRN_STORE: 'kubo',
    IPFS_API: `${node.url}/api/v0`,
    CAIRN_DATASET: 'cli',
    CAIRN_INDEX_POINTER_PATH: '/old/index-pointer',
  }
  const input = Array.from({ length: 50 }, (_, i) => `{"pi":"k-${i}","value":${i}}\n`).join('')
  await box.ok(['import', '-'], { env, input })
  expect((await box.ok(['build-snapshot'], { env })).trim()).toMatch(CID)
  expect(await box.ok(['cat', 'k-7'], { env })).toBe('7\n')
  expect(ndjson(await box.ok(['export', '--values'], { env }))).toHaveLength(50)
  const status = await box.json(['status'], { env })
  expect(status).toMatchObject({
    store: `kubo:${node.url}`,
    total_count: 50,
    synced: expect.any(Boolean),
  })
  const mirrored = await askNode(node.url, 'files/read', { arg: '/old/index-pointer' })
  expect(JSON.parse(mirrored)).toMatchObject({ total_count: 50, snapshot_seq: 1 })
  const report = await box.json(['doctor'], { env })
  expect(report).toMatchObject({ healthy: true })
  expect(JSON.stringify(report)).toContain('version 0.4')
})

test('a node that is too old or cannot be reached ends with 17', async () => {
  const old = await fakes.start(refusal('no'), '0.30.0')
  const refused = await box.fails(['list', '--store', 'kubo:', '--kubo-url', `${old}/api/v0/`])
  expect(refused).toMatchObject({ exit: 17, code: 'backend_refused' })
  expect(refused.message).toContain(old)
  const { code, stdout } = await box.run(['doctor', '--store', `kubo:${old}/api/v0`])
  expect(code).toBe(18)
  expect(stdout).toContain('needs 0.43')
})

test('secrets for a node are in no output', async () => {
  const old = await fakes.start(refusal('no'), '0.30.0')
  const url = old.replace('http://', 'http://someone:hunter2hunter2@')
  const env = { CAIRN_KUBO_TOKEN: 'basic:admin:topsecret' }
  for (const command of ['list', 'config', 'doctor']) {
    for (const how of [['--json'], ['-vv']]) {
      const { stdout, stderr } = await box.run([command, '--store', `kubo:${url}`, ...how], { env })
      const secrets = ['hunter2', 'topsecret', Buffer.from('admin:topsecret').toString('base64')]
      for (const secret of secrets) expect(stdout + stderr).not.toContain(secret)
    }
  }
})

/** `--compat` on the command line: a pointer of the old shape on a real node, and what refuses it. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { Sandbox } from './sandbox.ts'

const PATH = '/arke/index-pointer'
let box: Sandbox
let node: KuboNode

beforeAll(async () => {
  ;[box, node] = await Promise.all([Sandbox.make(), startKuboNode()])
}, 300_000)

beforeEach(async () => {
  for (const arg of ['/cairn', '/arke', '/old'])
    await askNode(node.url, 'files/rm', { arg, force: 'true' })
})

afterAll(async () => {
  await node.dispose()
  await box.remove()
})

const env = (more: Record<string, string> = {}): Record<string, string> => ({
  CAIRN_STORE: `kubo:${node.url}`,
  ...more,
})

const pointer = async (arg = PATH): Promise<unknown> =>
  JSON.parse(await askNode(node.url, 'files/read', { arg }))

/** Something at the path that Cairn did not write. */
async function occupy(): Promise<void> {
  const body = new FormData()
  body.append('file', new Blob(['{"schema":"arke/index-pointer@v1"}']))
  const url = `${node.url}/api/v0/files/write?arg=${PATH}&create=true&parents=true`
  expect((await fetch(url, { method: 'POST', body })).ok).toBe(true)
}

test('flag and environment keep the pointer current; without them there is none', async () => {
  await box.ok(['put', 'a', '--value', '1'], { env: env() })
  await expect(pointer()).rejects.toThrow('does not exist')
  await box.ok(['put', 'b', '--value', '2', '--compat', 'arke-v1'], { env: env() })
  expect(await pointer()).toMatchObject({
    schema: 'arke/index-pointer@v1',
    recent_count: 2,
    latest_snapshot_cid: null,
    written_by: 'cairn',
  })
  const snapshot = await box.ok(['build-snapshot'], { env: env({ CAIRN_COMPAT: 'arke-v2' }) })
  expect(await pointer()).toMatchObject({
    schema: 'arke/index-pointer@v2',
    latest_snapshot_cid: snapshot.trim(),
    snapshot_seq: 1,
    event_count: 2,
  })
})

test('another program’s pointer ends the command before it does anything, unless it is told to go on', async () => {
  await occupy()
  const how = env({ CAIRN_COMPAT: 'arke-v1' })
  const put = ['put', 'a', '--value', '1']
  const refused = await box.fails(put, { env: how })
  expect(refused).toMatchObject({ exit: 13, code: 'conflict' })
  expect(refused.message).toContain(PATH)
  expect(refused.hint).toContain('--compat-force')
  expect(await box.fails(['list'], { env: env() })).toMatchObject({ code: 'dataset_not_found' })
  await box.ok(['--compat-force', ...put], { env: how })
  expect(await pointer()).toMatchObject({ total_count: 1 })
  expect(await pointer(`${PATH}.before-cairn`)).toEqual({ schema: 'arke/index-pointer@v1' })
  await box.ok(['put', 'b', '--value', '1'], { env: how })
  expect(await pointer()).toMatchObject({ total_count: 2 })
  const other = await box.fails([...put, '-d', 'other'], { env: how })
  expect(other).toMatchObject({ exit: 13, code: 'conflict' })
  await box.ok([...put, '-d', 'other', '--compat-path', '/old/second'], { env: how })
  expect(await pointer('/old/second')).toMatchObject({ dataset: 'other', total_count: 1 })
})

test('INDEX_POINTER_PATH is the path of the compatible pointer', async () => {
  const how = env({ CAIRN_COMPAT: 'arke-v1', INDEX_POINTER_PATH: '/old/index_pointer' })
  await box.ok(['put', 'a', '--value', '1'], { env: how })
  expect(await pointer('/old/index_pointer')).toMatchObject({ schema: 'arke/index-pointer@v1' })
  expect(await pointer('/cairn/datasets/main/index-pointer')).toMatchObject({ total_count: 1 })
})

test('on an embedded store, and with a shape that there is not, it is refused', async () => {
  const embedded = await box.fails(['list', '--compat', 'arke-v1', '--store', 'lmdb:here'])
  expect(embedded).toMatchObject({ exit: 2, code: 'usage' })
  expect(embedded.message).toContain('lmdb:here')
  const shape = await box.fails(['list', '--compat', 'arke-v3'], { env: env() })
  expect(shape).toMatchObject({ exit: 2, code: 'config' })
  expect(await box.json(['config', '--compat-force'])).toMatchObject({
    settings: {
      compat: { value: 'none', origin: 'default' },
      compat_path: { value: PATH, origin: 'default' },
      compat_force: { value: 'yes', origin: 'flag' },
    },
  })
})

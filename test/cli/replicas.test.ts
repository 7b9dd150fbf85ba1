/** `cairn sync`, `promote` and `rejoin` as they are run: real processes, real folders, a real service. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { serve } from '../helpers/served.ts'
import { Sandbox, ndjson } from './sandbox.ts'

let box: Sandbox
beforeAll(async () => {
  box = await Sandbox.make()
}, 120_000)
afterAll(() => box.remove())

const put = (pi: string, value: string, ...more: string[]): Promise<string> =>
  box.ok(['put', pi, '--value', value, ...more])

const lines = async (store: string): Promise<string> =>
  box.ok(['export', '--values', '--store', store])

test('a copy, a fail-over, and back', async () => {
  const [a, b] = ['lmdb:a', 'lmdb:b']
  for (const pi of ['one', 'two']) await put(pi, '{"n":1}', '--store', a)
  const first = await box.json(['sync', b, '--store', a])
  expect(first).toMatchObject({
    status: 'synced',
    target: b,
    source: `lmdb:${box.path('a')}`,
    total_count: 2,
  })
  expect(await box.json(['sync', b, '--store', a])).toMatchObject({
    status: 'already_synced',
    blocks: 0,
  })
  expect(await lines(b)).toBe(await lines(a))
  expect(await box.fails(['put', 'three', '--value', '1', '--store', b])).toMatchObject({
    exit: 13,
    code: 'replica',
  })
  expect(await box.fails(['build-snapshot', '--store', b])).toMatchObject({ code: 'replica' })
  await box.ok(['verify', '--store', b])
  // The primary has one more, which the promotion brings.
  await put('late', '{"n":2}', '--store', a)
  expect(await box.json(['promote', '--store', b, '--yes'])).toMatchObject({
    status: 'promoted',
    generation: 2,
    fenced: true,
  })
  await put('three', '3', '--store', b)
  expect(await box.fails(['put', 'x', '--value', '1', '--store', a])).toMatchObject({
    exit: 13,
    code: 'fenced',
  })
  expect(await box.json(['rejoin', b, '--store', a])).toMatchObject({ conflicts: 0, report: null })
  expect(await lines(a)).toBe(await lines(b))
}, 60_000)

test('what does not fit is in a file before anything else is done', async () => {
  const [a, b] = ['lmdb:c', 'lmdb:d']
  await put('one', '1', '--store', a)
  await box.ok(['sync', b, '--store', a])
  await put('one', '"mine"', '--store', a)
  await put('two', '"mine"', '--store', a)
  const { stderr } = await box.run(['promote', '--lost', '--store', b, '--yes'])
  expect(stderr).toContain('does not know')
  await put('one', '"theirs"', '--store', b)
  // The old one knows where to look, and finds out by itself.
  const fenced = await box.fails(['put', 'two', '--value', '"more"', '--store', a, '--replicas', b])
  expect(fenced.code).toBe('fenced')
  const ended = await box.run(['rejoin', b, '--store', a, '--report', 'told.ndjson', '--json'])
  expect(ended.code).toBe(13)
  expect(ndjson(await box.read('told.ndjson'))).toMatchObject([{ pi: 'one', ver: 2, position: 1 }])
  expect(await lines(a)).toBe(await lines(b))
  expect(await lines(b)).toContain('"theirs"')
}, 60_000)

test('who pulls from a service follows it within seconds, also when it was away', async () => {
  await put('one', '1', '--store', 'lmdb:served')
  const served = await serve(box, ['--store', 'lmdb:served'])
  const { url } = served
  const follower = spawn(
    process.execPath,
    [box.bin(), 'sync', '--from', url, '--store', 'lmdb:copy', '--follow', '--json'],
    { cwd: box.dir, env: box.env },
  )
  onTestFinished(() => void follower.kill('SIGKILL'))
  const said: Buffer[] = []
  const followed = once(follower, 'close')
  follower.stdout.on('data', (chunk: Buffer) => said.push(chunk))
  try {
    const putThere = async (pi: string): Promise<void> => {
      const body = JSON.stringify({ pi, value: { n: pi } })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${url}/v1/datasets/main/entities/${pi}/content`, {
        method: 'PUT',
        body,
        headers,
      })
      expect(answer.status).toBe(201)
    }
    await putThere('two')
    await until(async () => (await copied()).includes('"pi":"two"'))
    await putThere('three')
    await until(async () => (await copied()).includes('"pi":"three"'))
  } finally {
    follower.kill('SIGTERM')
    await followed
    served.child.kill('SIGTERM')
    await served.ended()
  }
  expect(await followed).toEqual([0, null])
  expect(ndjson(Buffer.concat(said).toString()).length).toBeGreaterThanOrEqual(2)
  expect(await lines('lmdb:copy')).toBe(await lines('lmdb:served'))
  expect((await box.fails(['sync', '--from', url, '--store', 'lmdb:copy'])).code).toBe(
    'backend_unavailable',
  )
}, 90_000)

test('a copy behind a service is pushed to, follows, and is promoted over there', async () => {
  const there = box.path('there')
  const far = await serve(box, ['--store', 'lmdb:there'])
  for (const pi of ['one', 'two']) await put(pi, '{"n":1}', '--store', 'lmdb:here')
  const first = await box.json(['sync', far.url, '--store', 'lmdb:here'])
  expect(first).toMatchObject({
    status: 'synced',
    target: far.url,
    source: `lmdb:${box.path('here')}`,
    total_count: 2,
  })
  const follower = spawn(
    process.execPath,
    [box.bin(), 'sync', far.url, '--store', 'lmdb:here', '--follow'],
    { cwd: box.dir, env: box.env },
  )
  onTestFinished(() => void follower.kill('SIGKILL'))
  const followed = once(follower, 'close')
  const served = async (pi: string): Promise<boolean> =>
    (await fetch(`${far.url}/v1/datasets/main/entities/${pi}`)).status === 200
  await put('three', '3', '--store', 'lmdb:here')
  await until(() => served('three'))
  const { snapshot } = (await box.json(['build-snapshot', '--store', 'lmdb:here'])) as {
    snapshot: string
  }
  const checkpoint = async (): Promise<string> =>
    (await fetch(`${far.url}/v1/datasets/main/checkpoint`)).text()
  await until(async () => (await checkpoint()).includes(snapshot))
  follower.kill('SIGTERM')
  expect(await followed).toEqual([0, null])
  expect(await box.json(['status', '--store', `lmdb:${there}`])).toMatchObject({
    replica: { of: expect.stringMatching(/^push:.+:lmdb:.+here$/) as unknown },
  })
  // Without --lost: what it was pushed from is no store of that machine.
  const promoted = await box.run(['promote', '--store', `lmdb:${there}`, '--yes'])
  expect(promoted.stderr).toContain('is not stopped from here')
  expect((await box.fails(['sync', far.url, '--store', 'lmdb:here'])).code).toBe('fenced')
  const refused = await box.fails([
    'put',
    'x',
    '--value',
    '1',
    '--store',
    'lmdb:here',
    '--replicas',
    far.url,
  ])
  expect(refused.code).toBe('fenced')
  expect(await box.fails(['rejoin', far.url, '--store', 'lmdb:here'])).toMatchObject({
    code: 'usage',
  })
  far.child.kill('SIGTERM')
  await far.ended()
}, 90_000)

async function copied(): Promise<string> {
  const { stdout } = await box.run(['export', '--store', 'lmdb:copy'])
  return stdout
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 100))
}

/**
 * A service whose newest state is damaged does not start, says why, and changes nothing: it never begins anew (the
 * pain RC06 of the older system, which did). A CAR brings everything back. With the real `cairn serve`.
 */
import { access, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { request } from '../helpers/service.ts'
import { serve } from '../helpers/served.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { everything, get, place, put, writeConfig } from './clients.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make()
  return () => sandbox.remove()
})

/** Changes every copy of `text` in the store's file, as a bad disk would. */
async function damage(dir: string, text: string): Promise<void> {
  const file = join(dir, 'store', 'data.mdb')
  const bytes = await readFile(file)
  let hits = 0
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1), hits++)
    bytes[at] = 0x58
  expect(hits).toBeGreaterThan(0)
  await writeFile(file, bytes)
}

/** A store that a service has left when it was killed, with something of its own in each kind of block. */
async function leaveStore(config: string): Promise<string> {
  const served = await serve(sandbox, ['--config', config])
  await put(served, 'only-in-the-tree', 1)
  const build = { kind: 'build', reason: 'only-in-the-header' }
  const { headers } = await request(`${place(served)}/jobs`, 'POST', build)
  await get(`${served.url}${headers.get('location') ?? ''}?wait_ms=20000`)
  await put(served, 'only-in-the-chain', 2)
  served.child.kill('SIGKILL')
  await served.ended()
  return served.dir
}

let killed: Promise<string> | undefined

test.each([
  ['the newest entries', 'only-in-the-chain'],
  ['the newest snapshot', 'only-in-the-header'],
  ['the tree', 'only-in-the-tree'],
  ['the pointer', '"recent_chain_head"'],
])('%s: it does not start, says why, and changes nothing', async (_, marker) => {
  const dir = sandbox.path(`damaged-${marker.replaceAll('"', '')}`)
  const config = await writeConfig(sandbox, 'damaged.json', 3600)
  killed ??= leaveStore(config)
  const file = join(dir, 'store', 'data.mdb')
  await mkdir(join(dir, 'store'), { recursive: true, mode: 0o700 })
  await copyFile(join(await killed, 'store', 'data.mdb'), file)
  await damage(dir, marker)
  const left = await readFile(file)
  const started = serve(sandbox, ['--config', config], {}, dir)
  await expect(started).rejects.toThrow('it does not listen')

  const args = ['serve', '--port', '0', '--data-dir', dir, '--config', config]
  const { code, stdout, stderr } = await sandbox.run(args)
  // 4: damage.
  expect({ code, stdout }).toEqual({ code: 4, stdout: '' })
  expect(stderr).toMatch(/error: .+\n/)
  expect(stderr).not.toContain('Server started')
  expect(stderr).not.toContain('was made')
  expect((await readFile(file)).equals(left)).toBe(true)
})

test('one CAR brings it back, in another folder, and it serves again', async () => {
  const config = await writeConfig(sandbox, 'damaged.json', 3600)
  const served = await serve(sandbox, ['--config', config])
  await put(served, 'kept', { all: 'of it' })
  await put(served, 'only-in-the-chain', 2)
  const before = await everything(served)
  const exported = await request(`${place(served)}/jobs`, 'POST', { kind: 'export' })
  const location = exported.headers.get('location') ?? ''
  const { job } = await get<{ job: { result: { filename: string } } }>(
    `${served.url}${location}?wait_ms=20000`,
  )
  served.child.kill('SIGKILL')
  await served.ended()
  await damage(served.dir, 'only-in-the-chain')
  const car = join(served.dir, 'backups', job.result.filename)
  await access(car)
  const dir = sandbox.path('restored-elsewhere')
  await sandbox.ok(['restore-car', car, '--data-dir', dir])
  const second = await serve(sandbox, ['--config', config], {}, dir)
  expect(await everything(second)).toEqual(before)
  expect(await put(second, 'kept', 'and on')).toMatchObject({ ver: 2, position: 2 })
})

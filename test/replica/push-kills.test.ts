/** A push between two processes of which one is killed in the middle: it goes on with what has arrived. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openCairn } from '../../src/index.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { freePort } from '../helpers/free-port.ts'
import { serve, type Served } from '../helpers/served.ts'

let box: Sandbox
beforeAll(async () => {
  box = await Sandbox.make()
}, 120_000)
afterAll(() => box.remove())

const FILES = 24
const FILE_BYTES = 1_500_000

async function write(round: number): Promise<void> {
  const cairn = await openCairn(`lmdb:${box.path('here')}`)
  const dataset = await cairn.open()
  for (let i = 0; i < FILES; i++) await dataset.put(`f${round}-${i}`, randomBytes(FILE_BYTES))
  await dataset.build()
  await cairn.close()
}

function push(url: string): {
  child: ChildProcess
  ended: Promise<{ code: number; report: Record<string, number> }>
} {
  const args = [box.bin(), 'sync', url, '--store', 'lmdb:here', '--json']
  const child = spawn(process.execPath, args, { cwd: box.dir, env: box.env })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (part: Buffer) => (said += part.toString()))
  const ended = once(child, 'close').then(([code]: unknown[]) => ({
    code: Number(code),
    report: (said === '' ? {} : JSON.parse(said)) as Record<string, number>,
  }))
  return { child, ended }
}

/** Until so many bytes have arrived there since. */
async function arrived(bytes: number): Promise<void> {
  const size = async (): Promise<number> =>
    (await stat(box.path('there', 'data.mdb')).catch(() => ({ size: 0 }))).size
  for (const before = await size(); (await size()) < before + bytes;) await delay(5)
}

const far = (port: number): Promise<Served> =>
  serve(box, ['--store', 'lmdb:there', '--port', String(port)])

test('whichever of the two is killed', async () => {
  const port = await freePort()
  let there = await far(port)
  await write(1)
  const first = push(there.url)
  await arrived(10 << 20)
  first.child.kill('SIGKILL')
  await first.ended
  expect((await box.json(['status', '--store', 'lmdb:there']))['total_count']).toBe(0)
  const second = await push(there.url).ended
  expect(second.report).toMatchObject({ status: 'synced', total_count: FILES })
  // Of what had arrived nothing was sent again but what was on its way.
  expect(second.report['bytes']).toBeLessThan(FILES * FILE_BYTES - (4 << 20))

  await write(2)
  const third = push(there.url)
  await arrived(10 << 20)
  there.child.kill('SIGKILL')
  await there.ended()
  there = await far(port)
  const { code, report } = await third.ended
  expect(code).toBe(0)
  // Its own sync was the second that was begun: the rest of what was new.
  expect(report).toMatchObject({ status: 'synced', total_count: 2 * FILES })
  expect(report['bytes']).toBeLessThan(FILES * FILE_BYTES - (4 << 20))
  there.child.kill('SIGTERM')
  await there.ended()
  await box.ok(['verify', '--store', 'lmdb:there'])
  expect(await box.ok(['export', '--store', 'lmdb:there'])).toBe(
    await box.ok(['export', '--store', 'lmdb:here']),
  )
}, 120_000)

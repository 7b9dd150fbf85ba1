/**
 * AC03, the critical test: clients write, are saved, and all leave; the server is killed and started again, and
 * everything is there and goes on without an operator. With it what an end and a SIGHUP must do. All of it with
 * the real `cairn serve`, over HTTP alone.
 */
import { readFile } from 'node:fs/promises'
import { beforeAll, expect, test } from 'vitest'
import { openEvents } from '../helpers/event-stream.ts'
import { request } from '../helpers/service.ts'
import { serve, type Served } from '../helpers/served.ts'
import { Sandbox } from '../cli/sandbox.ts'
import {
  everything,
  get,
  place,
  positionsOf,
  put,
  saidBy,
  untilSaid,
  upTo,
  writeConfig,
} from './clients.ts'

const PATIENCE = { timeout: 30_000 }

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make()
  return () => sandbox.remove()
})

const lastBuild = async (served: Served): Promise<unknown> =>
  (await get<{ runs: { build?: { last: unknown } } }>(`${place(served)}/automation`)).runs.build
    ?.last

/** A user goes, and the server saves because of that. */
async function leave(served: Served, user: string): Promise<void> {
  const answer = await request(`${place(served)}/disconnect`, 'POST', { user })
  expect(answer.status).toBe(202)
  const job = await get(`${served.url}${answer.headers.get('location') ?? ''}?wait_ms=20000`)
  expect(job).toMatchObject({ job: { state: 'succeeded', reason: `user_disconnect:${user}` } })
  await untilSaid(served, `Session saved to disk (reason: user_disconnect:${user})`)
}

test('AC03: what clients wrote outlives them and a SIGKILL, and is active again without an operator', async () => {
  const config = await writeConfig(sandbox, 'critical.json', 1)
  const first = await serve(sandbox, ['--config', config])
  const alice = await openEvents(`${place(first)}/changes`)
  const bob = await openEvents(`${place(first)}/changes`)
  for (let n = 0; n < 6; n++) await put(first, `object:${n % 4}`, { made: n })
  expect(positionsOf(await alice.take(6))).toEqual(upTo(6))
  expect(positionsOf(await bob.take(6))).toEqual(upTo(6))

  // Saved by time alone, and told of in the log and over HTTP.
  await untilSaid(first, 'Session saved to disk (reason: interval)')
  await expect
    .poll(() => get(`${place(first)}/checkpoint`), PATIENCE)
    .toMatchObject({ recent_count: 0 })
  expect(await lastBuild(first)).toMatchObject({ state: 'succeeded', reason: 'interval' })

  // All clients leave; what each had written since is saved for that reason.
  await writeConfig(sandbox, 'critical.json', 3600)
  first.child.kill('SIGHUP')
  await first.logged('settings.reloaded')
  for (const [user, stream] of [['Alice', alice] as const, ['Bob', bob] as const]) {
    await put(first, `last-of:${user}`, { user })
    await leave(first, user)
    stream.close()
  }
  // One that came and went without a word: what it wrote is in no snapshot.
  const late = await put(first, 'object:1', { made: 'late' })
  expect(late).toMatchObject({ position: 8, ver: 3 })
  const before = await everything(first)
  first.child.kill('SIGKILL')
  expect(await first.ended()).toBe('SIGKILL')

  const second = await serve(sandbox, ['--config', config], {}, first.dir)
  expect(await second.logged('dataset.opened')).toMatchObject({
    msg: 'Session restored from disk',
    total_count: 6,
    recent_count: 1,
  })
  expect(await get(`${second.url}/readyz`)).toEqual({ status: 'ready' })
  expect(await everything(second)).toEqual(before)
  expect(before).toHaveLength(6)
  expect(await lastBuild(second)).toMatchObject({ reason: 'user_disconnect:Bob' })

  // They come back: nothing is missing in between, nothing twice, and work goes on.
  const again = await openEvents(`${place(second)}/changes`, { 'last-event-id': alice.lastId() })
  expect(positionsOf(await again.take(3))).toEqual([6, 7, 8])
  expect(await put(second, 'object:1', { made: 'after' })).toMatchObject({ position: 9, ver: 4 })
  expect((await again.take(1))[0]).toMatchObject({
    event: 'entry',
    data: { position: 9, pi: 'object:1', ver: 4 },
  })
  await leave(second, 'Alice')
  again.close()
})

/** The lines of the log that docs/SERVICE.md promises, in its order; `N` and `DIR` stand for anything. */
async function documentedLines(chapter: string): Promise<RegExp[]> {
  const page = await readFile(new URL('../../docs/SERVICE.md', import.meta.url), 'utf8')
  const text = page.slice(page.indexOf(`${chapter}\n`))
  const [, block = ''] = /```text\n(.*?)```/s.exec(text) ?? []
  const lines = block.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const literal = line.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    return new RegExp(`^${literal.replaceAll(/\b(?:N|DIR|URL|VERSION)\b/g, '.+')}$`)
  })
}

test('SIGTERM ends it in time with a last snapshot, and the log tells it as it is documented', async () => {
  const config = await writeConfig(sandbox, 'end.json', 3600)
  const args = ['--config', config, '--shutdown-deadline', '10s']
  const served = await serve(sandbox, args)
  const stream = await openEvents(`${place(served)}/changes?since=0`)
  for (let n = 0; n < 3; n++) await put(served, `object:${n}`, n)
  await stream.take(3)
  const began = performance.now()
  served.child.kill('SIGTERM')
  // The stream ends whole; its reader comes back by its id.
  expect(await stream.end()).toEqual([])
  expect(await served.ended()).toBe(0)
  expect(performance.now() - began).toBeLessThan(10_000)
  const said = saidBy(served)
  const lines = await documentedLines('## What the log says')
  expect(lines.length).toBeGreaterThan(8)
  let at = -1
  for (const line of lines) {
    const next = said.findIndex((msg, i) => i > at && line.test(msg))
    expect({ line, said: next > at ? 'in its place' : said }).toEqual({
      line,
      said: 'in its place',
    })
    at = next
  }

  const next = await serve(sandbox, args, {}, served.dir)
  expect(await next.logged('dataset.opened')).toMatchObject({ recent_count: 0, total_count: 3 })
  const { items } = await get<{ items: unknown[] }>(`${place(next)}/snapshots`)
  expect(items[0]).toMatchObject({ reason: 'shutdown', live: 3, current: true })
  const again = await openEvents(`${place(next)}/changes`, { 'last-event-id': stream.lastId() })
  await put(next, 'object:3', 3)
  expect(positionsOf(await again.take(1))).toEqual([3])
  again.close()
})

test('SIGHUP changes the interval: what waited for an hour is saved at once', async () => {
  const config = await writeConfig(sandbox, 'hangup.json', 3600)
  const served = await serve(sandbox, ['--config', config])
  expect(saidBy(served)).toContain('Auto-save enabled (interval: 3600s)')
  await put(served, 'waits', 1)
  const dueIn = async (): Promise<number> => {
    const { next } = await get<{ next: { at: string; reason: string }[] }>(
      `${place(served)}/automation`,
    )
    return Date.parse(next.find(({ reason }) => reason === 'interval')?.at ?? '') - Date.now()
  }
  await expect.poll(dueIn, PATIENCE).toBeGreaterThan(3_000_000)
  await writeConfig(sandbox, 'hangup.json', 1)
  served.child.kill('SIGHUP')
  await untilSaid(served, 'Auto-save enabled (interval: 1s)')
  await untilSaid(served, 'Session saved to disk (reason: interval)')
  expect(await get(`${place(served)}/checkpoint`)).toMatchObject({
    recent_count: 0,
    total_count: 1,
  })
})

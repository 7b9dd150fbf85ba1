/** `npm start`: a demo with a month of history, served with its page. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { tempDir } from '../helpers/engine.ts'

const SCRIPT = fileURLToPath(new URL('../../scripts/start.mjs', import.meta.url))

/** The address that it prints once it serves. */
async function started(folder: string): Promise<string> {
  const child = spawn(process.execPath, [SCRIPT, folder, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /listens on (http\S+)/.exec(line) ?? []
    if (url !== undefined) return url
  }
  throw new Error(`it ended with ${child.exitCode} before it listened`)
}

test('npm start serves a demo that is safe: 10,000 entities, 30 snapshots, a CAR that was drilled', async () => {
  const folder = join(await tempDir(), 'demo')
  const url = await started(folder)
  const json = async (path: string): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${url}/v1/datasets/main${path}`)
    expect(answer.status).toBe(200)
    return (await answer.json()) as Record<string, unknown>
  }
  const page = await fetch(url)
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
  expect(await page.text()).toContain('<title>Cairn</title>')
  expect((await json(''))['total_count']).toBeGreaterThan(10_000)
  expect((await json('/snapshots?limit=100'))['items']).toHaveLength(31)
  expect(await json('/health')).toMatchObject({ healthy: true, level: 'ok' })
  expect((await readdir(join(folder, 'backups'))).some((name) => name.endsWith('.car'))).toBe(true)
})

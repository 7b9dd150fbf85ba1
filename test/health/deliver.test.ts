/** Telling people, with real receivers: an HTTP server that fails, hangs or sends elsewhere; a shell. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { tempDir, refusal } from '../helpers/engine.ts'
import type { Notice } from '../../src/health/alerts.ts'
import { parseWebhook, postNotice, runAlertCommand } from '../../src/health/deliver.ts'
import { startReceiver, status } from './receiver.ts'

const NOTICE: Notice = {
  dataset: 'main',
  at: '2026-05-01T12:00:00.000Z',
  level: 'critical',
  changes: [
    {
      check: 'car',
      from: 'ok',
      to: 'critical',
      findings: [{ check: 'car', level: 'critical', message: "It's $gone `x`", hint: 'export' }],
    },
  ],
}
const SECRET = 'T000/B000/sesame-open'
const SOON = { timeoutMs: 400 }

const post = (url: string, options = SOON): Promise<void> =>
  postNotice(NOTICE, parseWebhook(`${url}/${SECRET}`, 'generic'), options)

test('a webhook is sent the notice as JSON, in both shapes', async () => {
  const { url, received } = await startReceiver(status(204))
  await post(url)
  await postNotice(NOTICE, parseWebhook(`${url}/slack?x=1`, 'slack'), SOON)
  expect(received).toMatchObject([
    {
      path: `/${SECRET}`,
      headers: { 'content-type': 'application/json' },
      body: {
        schema: 'cairn/alert@v1',
        dataset: 'main',
        level: 'critical',
        subject: 'CRITICAL: main: car',
      },
    },
    {
      path: '/slack?x=1',
      body: { text: expect.stringContaining("*CRITICAL: main: car*\nCRITICAL: car: It's") },
    },
  ])
  expect(Object.keys(received[1]?.body ?? {})).toEqual(['text'])
})

test('user and password of an address go into the header', async () => {
  const { url, received } = await startReceiver(status(200))
  const own = url.replace('http://', 'http://me:open%20sesame@')
  await postNotice(NOTICE, parseWebhook(own, 'generic'), SOON)
  const pair = Buffer.from('me:open sesame').toString('base64')
  expect(received[0]?.headers.authorization).toBe(`Basic ${pair}`)
})

test('what a webhook refuses, never answers, or cannot be reached is an error without its address', async () => {
  const failing = await startReceiver(status(503))
  const silent = await startReceiver()
  const half = await startReceiver((response) => response.destroy())
  const cases = [
    [failing.url, 'answered 503'],
    [silent.url, 'did not answer within 400 ms'],
    [half.url, 'cannot be reached'],
    ['http://127.0.0.1:1', 'cannot be reached'],
    ['http://sesame-open.invalid', 'cannot be reached'],
  ] as const
  for (const [url, why] of cases) {
    const error = await refusal(post(url))
    expect(error.code).toBe('backend_unavailable')
    expect(error.message).toContain(why)
    const shown = `${error.message} ${error.hint} ${JSON.stringify(error)} ${String(error.cause)}`
    expect(shown).not.toContain('sesame')
    expect(shown).not.toContain('127.0.0.1')
  }
})

test('a webhook that sends elsewhere is not followed', async () => {
  for (const code of [301, 302, 303, 307, 308]) {
    const other = await startReceiver(status(200))
    const first = await startReceiver(status(code, { location: `${other.url}/elsewhere` }))
    expect((await refusal(post(first.url))).message).toContain(`answered ${code}`)
    expect(other.received).toEqual([])
  }
})

test('an answer without end is not waited for', async () => {
  const { url, received } = await startReceiver((response) => {
    response.writeHead(200)
    response.write('x'.repeat(100_000))
  })
  await post(url)
  expect(received).toHaveLength(1)
})

test('what is no address of the web is refused, and not shown', () => {
  for (const url of [
    'sesame',
    '/sesame',
    'ftp://sesame',
    'file:///etc/sesame',
    'javascript:sesame',
    '',
  ]) {
    try {
      parseWebhook(url, 'generic')
      expect.fail(url)
    } catch (error) {
      expect(error).toMatchObject({ code: 'config' })
      expect(JSON.stringify(error)).not.toContain('sesame')
    }
  }
})

test('a command gets the subject as $1 and the text on stdin, as they are', async () => {
  const path = join(await tempDir(), 'mail')
  await runAlertCommand(NOTICE, `{ printf '%s\\n' "$1" "$#"; cat; } > '${path}'`, {
    timeoutMs: 5000,
  })
  expect(await readFile(path, 'utf8')).toBe(
    "CRITICAL: main: car\n1\nCRITICAL: car: It's $gone `x`\n  hint: export\n",
  )
})

test('a command that fails is an error, one that does not read is none', async () => {
  const error = await refusal(runAlertCommand(NOTICE, 'exit 3', SOON))
  expect(error).toMatchObject({ code: 'hook_failed', message: 'The alert command ended with 3.' })
  await runAlertCommand(NOTICE, 'true', { timeoutMs: 5000 })
  const large = {
    ...NOTICE,
    changes: NOTICE.changes.map((one) => ({
      ...one,
      findings: Array.from({ length: 20_000 }, () => one.findings).flat(),
    })),
  }
  await runAlertCommand(large, 'exec <&-; true', { timeoutMs: 5000 })
})

test('a command that hangs is ended with all that it started', async () => {
  const path = join(await tempDir(), 'alive')
  const began = Date.now()
  const command = `(sleep 1; touch '${path}') & sleep 60`
  expect((await refusal(runAlertCommand(NOTICE, command, SOON))).message).toContain('within 400 ms')
  expect(Date.now() - began).toBeLessThan(5000)
  await sleep(1200)
  await expect(readFile(path)).rejects.toThrow('ENOENT')
})

test('the end of the service ends what is being sent', async () => {
  const silent = await startReceiver()
  const stop = new AbortController()
  const options = { timeoutMs: 60_000, signal: stop.signal }
  const sending = [
    postNotice(NOTICE, parseWebhook(silent.url, 'generic'), options),
    runAlertCommand(NOTICE, 'sleep 60', options),
  ].map((one) => refusal(one))
  setTimeout(() => stop.abort(), 100)
  expect(await Promise.all(sending)).toHaveLength(2)
})

/** The page against what is meant to break it: who has the token, what a service sends, what content holds. */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { openPage } from '../helpers/browser.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { fill } from '../helpers/page-data.ts'
import { serve } from '../helpers/served.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
})
afterAll(() => sandbox.remove())

type Answer = (request: IncomingMessage, response: ServerResponse) => boolean

/** In front of a service; `answer` takes a request upon itself, or not. */
async function before(url: string, answer: Answer): Promise<string> {
  const server = createServer((asked, response) => {
    if (answer(asked, response)) return
    const { method, headers } = asked
    const onward = request(`${url}${asked.url ?? '/'}`, { method: method ?? 'GET', headers })
    onward.on('response', (answered) => {
      response.writeHead(answered.statusCode ?? 500, answered.headers)
      answered.pipe(response)
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    asked.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const REFUSED = /status of 40[13]|ERR_|Failed to load/

async function withTokens(name: string) {
  const dir = sandbox.path(name)
  const make = (one: string): Promise<string> =>
    sandbox.ok(['token', 'create', one, '--right', 'read', '--data-dir', dir])
  const [first, second] = [(await make('first')).trim(), (await make('second')).trim()]
  return { first, second, url: (await serve(sandbox, [], {}, dir)).url }
}

test('who signs out ends what is asked with the token, and nothing is asked with it again', async () => {
  const { first, second, url } = await withTokens('sign-out')
  let hang = false
  const held: ServerResponse[] = []
  const sent: string[] = []
  const front = await before(url, (asked, response) => {
    sent.push(asked.headers.authorization ?? 'nobody')
    if (!hang || !asked.url?.includes('/v1/')) return false
    held.push(response)
    return true
  })
  const { page } = await openPage(`${front}/`, { token: first, allow: REFUSED })
  await page.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
  hang = true
  await page.getByRole('link', { name: 'Growth' }).click()
  await expect.poll(() => held.length).toBeGreaterThan(0)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Token').waitFor()
  await expect.poll(() => held.filter(({ destroyed }) => !destroyed).length).toBe(0)
  hang = false
  sent.length = 0
  await page.getByLabel('Token').fill(second)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'How it grows' }).waitFor()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await expect.poll(() => page.getByLabel('Token').count()).toBe(0)
  expect(sent.filter((one) => one === `Bearer ${first}`)).toEqual([])
  expect(new Set(sent.filter((one) => one !== 'nobody'))).toEqual(new Set([`Bearer ${second}`]))
  const seen = `${page.url()} ${await page.title()} ${await page.content()}`
  expect([seen.includes(first), seen.includes(second)]).toEqual([false, false])
}, 60_000)

test('a token that a device remembers is forgotten in all its tabs', async () => {
  const { first, url } = await withTokens('tabs')
  const { page, context } = await openPage(`${url}/`, { allow: REFUSED })
  await page.getByLabel('Token').fill(first)
  await page.getByLabel('Remember on this device').check()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
  const other = await context.newPage()
  await other.goto(`${url}/`)
  await other.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await other.getByLabel('Token').waitFor()
  expect(await other.evaluate('localStorage.length + sessionStorage.length')).toBe(0)
}, 60_000)

test('what cannot be a token is not sent', async () => {
  const { url } = await withTokens('odd')
  const { page } = await openPage(`${url}/`, { allow: REFUSED })
  await page.getByLabel('Token').fill('tökén\u202e')
  await page.keyboard.press('Enter')
  await page.getByText('This token is not known.').waitFor()
  await page.getByLabel('Token').fill('x'.repeat(600))
  await page.keyboard.press('Enter')
  await page.getByText('This token is not known.').waitFor()
  expect(await page.evaluate('sessionStorage.length')).toBe(0)
}, 60_000)

test('scripts that the service serves as data, or that were made here, are not run', async () => {
  const { url } = await serve(sandbox)
  const { page } = await openPage(`${url}/`, { allow: /Content Security Policy|Trusted/ })
  await page.getByRole('heading', { level: 1 }).waitFor()
  const tries = [
    `new Worker('/v1/datasets/main/entities/script/content')`,
    `new Worker('./assets/../v1/datasets')`,
    `new Worker('./assets/%2e%2e/v1/datasets')`,
    `new Worker(URL.createObjectURL(new Blob(['1'], { type: 'text/javascript' })))`,
    `new Worker('data:text/javascript,1')`,
    `document.createElement('script').src = '/v1/datasets'`,
  ]
  for (const code of tries) await expect(page.evaluate(code), code).rejects.toThrow('not run here')
}, 60_000)

test('ids and tags that turn the text around are named, wherever they are shown', async () => {
  const { url } = await serve(sandbox)
  const client = await fill(url, { entities: 5, snapshots: 1 })
  await client.put('pay\u202efdp.exe', 1)
  await client.run({ kind: 'build', tags: ['good\u2066x'], reason: 'r\u202e' })
  const { page } = await openPage(`${url}/#/main/timeline`)
  await page.getByText('U+2066').first().waitFor()
  await page.getByText('U+202E').first().waitFor()
  for (const view of ['diff', 'chunks']) {
    await page.goto(`${url}/#/main/${view}`)
    if (view === 'chunks') await page.getByText('All chunks as a table').click()
    const id = view === 'diff' ? page.getByText('U+202E') : page.getByText(/user:00004/).first()
    await id.first().waitFor()
  }
  for (const text of await page.locator('option').allTextContents())
    expect(text).not.toMatch(/[\u202e\u2066]/)
}, 60_000)

test('a stream of changes without an end is counted, stopped, and leaves the page to its reader', async () => {
  const { url } = await serve(sandbox)
  await fill(url, { entities: 20, snapshots: 2 })
  const entry = { ver: 1, tip: 'b', ts: '2026-01-01T00:00:00Z', exp: null }
  const line = `${JSON.stringify({ pi: 'a', change: 'changed', before: entry, after: entry })}\n`
  const part = Buffer.from(line.repeat(2000))
  const front = await before(url, (asked, response) => {
    if (asked.url?.includes('/diff') !== true) return false
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    const more = (): void => {
      while (!response.destroyed && response.write(part));
    }
    response.on('drain', more)
    more()
    return true
  })
  const { page } = await openPage(`${front}/#/main/diff`)
  await page.getByRole('button', { name: 'Stop' }).waitFor()
  await page.waitForTimeout(3000)
  await page.getByRole('button', { name: 'Stop' }).click({ timeout: 3000 })
  await page.getByText(/until it was stopped/).waitFor({ timeout: 3000 })
  expect(await page.evaluate('document.activeElement.className')).toBe('diff-sentence')
}, 60_000)

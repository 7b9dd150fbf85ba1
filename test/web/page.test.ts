/** The page around the views: who may see it, what it does by keyboard, and what it says when the service is gone. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { axe, eachLook, expectFits, openPage } from '../helpers/browser.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { fill } from '../helpers/page-data.ts'
import { serve } from '../helpers/served.ts'
import { connect } from '../../src/client/index.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
})
afterAll(() => sandbox.remove())

const REFUSED = /status of 40[13]/

test('asks for a token once, keeps it out of addresses, and forgets it', async () => {
  const dir = sandbox.path('tokens')
  const make = ['token', 'create', 'eyes', '--right', 'read', '--data-dir', dir]
  const token = (await sandbox.ok(make)).trim()
  const { url } = await serve(sandbox, [], {}, dir)
  const { page } = await openPage(`${url}/`, { allow: REFUSED })
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  const field = page.getByLabel('Token')
  await field.waitFor()
  await eachLook(page, 'sign-in', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
  await field.fill('not-a-token')
  await page.keyboard.press('Enter')
  await page.getByText('This token is not known.').waitFor()
  await field.fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { level: 1, name: 'There is nothing to lose yet' }).waitFor()
  await page.reload()
  await page.getByRole('heading', { level: 1, name: 'There is nothing to lose yet' }).waitFor()
  expect(await page.evaluate('localStorage.length')).toBe(0)
  expect(asked.filter((one) => one.includes(token))).toEqual([])
  // The token may only read.
  await page.getByRole('button', { name: 'Build a snapshot now' }).click()
  await page.getByText('access_denied').waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await field.waitFor()
  expect(await page.evaluate('sessionStorage.length')).toBe(0)
}, 60_000)

test('a token that is to be remembered outlives the tab; one that was revoked is asked for anew', async () => {
  const dir = sandbox.path('remembered')
  const at = ['--data-dir', dir]
  const token = (await sandbox.ok(['token', 'create', 'eyes', '--right', 'read', ...at])).trim()
  await sandbox.ok(['token', 'create', 'other', '--right', 'read', ...at])
  const { url } = await serve(sandbox, [], {}, dir)
  const { page, context } = await openPage(`${url}/`, { allow: REFUSED })
  await page.getByLabel('Token').fill(token)
  await page.getByLabel('Remember on this device').check()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
  await page.close()
  const later = await context.newPage()
  await later.goto(`${url}/`)
  await later.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
  await sandbox.ok(['token', 'revoke', 'eyes', ...at])
  await later.getByText('It may have been revoked.').waitFor()
}, 60_000)

test('a token for one dataset may name it', async () => {
  const dir = sandbox.path('bound')
  const args = ['--right', 'read', '--only', 'main', '--data-dir', dir]
  const token = (await sandbox.ok(['token', 'create', 'one', ...args])).trim()
  const { url } = await serve(sandbox, [], {}, dir)
  const { page } = await openPage(`${url}/`, { token, allow: REFUSED })
  await page.getByLabel('Name of the dataset').fill('main')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
})

test('goes from dataset to dataset, and from view to view by keyboard', async () => {
  const { url } = await serve(sandbox)
  await connect({ url }).dataset('scenes').make()
  await fill(url, { entities: 10, snapshots: 1 })
  const { page } = await openPage(`${url}/`)
  await page.getByRole('heading', { level: 1 }).waitFor()
  await expect.poll(() => page.url()).toBe(`${url}/#/main/safety`)
  await page.keyboard.press('Tab')
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content')
  await page.keyboard.press('Enter')
  expect(await page.evaluate('document.activeElement.id')).toBe('main')
  await page.getByRole('link', { name: 'Growth' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'How it grows' }).waitFor()
  expect(await page.title()).toBe('Growth · main · Cairn')
  expect(await page.evaluate('document.activeElement.id')).toBe('main')
  await page.getByLabel('Dataset').selectOption('scenes')
  await page.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
  await eachLook(page, 'datasets', async () => expectFits(page))
  await page.goBack()
  await page.getByRole('heading', { level: 1, name: 'How it grows' }).waitFor()
  await page.goto(`${url}/#/main/nowhere`)
  await page.getByRole('heading', { level: 1, name: 'There is no such view' }).waitFor()
})

test('lets no markup, script or host in that is not its own', async () => {
  const { url } = await serve(sandbox)
  const { page } = await openPage(`${url}/`, {
    allow: /Content Security Policy|This document requires 'Trusted/,
  })
  await page.getByRole('heading', { level: 1 }).waitFor()
  const tries = {
    markup: `document.body.innerHTML = '<b>in</b>'`,
    script: `document.createElement('script').textContent = 'window.ran = true'`,
    attribute: `document.body.setAttribute('onclick', 'window.ran = true')`,
    worker: `new Worker('https://example.org/worker.js')`,
    host: `fetch('http://127.0.0.1:9/')`,
  }
  for (const [what, code] of Object.entries(tries))
    await expect(page.evaluate(code), what).rejects.toThrow(
      /Trusted|Failed to fetch|not run here|policy/i,
    )
})

test('stays as it was chosen: light or dark', async () => {
  const { url } = await serve(sandbox)
  const { page } = await openPage(`${url}/`, { scheme: 'light' })
  const background = () =>
    page.evaluate('getComputedStyle(document.documentElement).backgroundColor')
  const button = page.getByRole('button', { name: /^Colours/ })
  await button.waitFor()
  const light = await background()
  await button.click()
  expect(await background()).toBe(light)
  await button.click()
  const dark = await background()
  expect(dark).not.toBe(light)
  await page.reload()
  await button.waitFor()
  expect(await background()).toBe(dark)
})

test('says since when the service does not answer, and goes on when it does again', async () => {
  const { url, child, dir } = await serve(sandbox)
  const { page } = await openPage(`${url}/`, { allow: /ERR_|Failed to load/ })
  await page.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
  child.kill('SIGKILL')
  await page.getByText(/^Not connected since/).waitFor()
  await page.getByRole('heading', { level: 1, name: /nothing to lose/ }).waitFor()
  expect(await axe(page)).toEqual([])
  const { port } = new URL(url)
  await serve(sandbox, ['--port', port], {}, dir)
  await page.getByText(/^Not connected since/).waitFor({ state: 'detached' })
}, 90_000)

/** The entities of a real service in a real browser: ten thousand of them, one by one, and hostile ones. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import { connect, type DatasetClient } from '../../src/client/index.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { axe, eachLook, expectFits, openPage, SIZES } from '../helpers/browser.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { serve } from '../helpers/served.ts'

const SOUND = fileURLToPath(new URL('../../fixtures/corrupt/sound.car', import.meta.url))

let sandbox: Sandbox
let filled = false
let url: string
let client: DatasetClient

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
})
afterAll(() => sandbox.remove())

/** One dataset for all tests, served anew to each. */
beforeEach(async () => {
  ;({ url } = await serve(sandbox, [], {}, sandbox.path('data')))
  client = connect({ url }).dataset('main')
  if (!filled) await fill()
  filled = true
})

async function fill(): Promise<void> {
  const kinds = ['user', 'scene', 'note', 'light']
  const all = Array.from({ length: 10_000 }, (_, i) => ({
    pi: `${kinds[i % 4]}:${String(i).padStart(5, '0')}`,
    // It spares the question which one comes next.
    ver: 1,
    value: { name: `Number ${i}`, at: { x: i % 97 } },
  }))
  for (let i = 0; i < all.length; i += 2500) await client.appendBatch(all.slice(i, i + 2500))
  await client.run({ kind: 'build', reason: 'filled' })
}

async function expectGood(page: Page, name: string): Promise<void> {
  await eachLook(page, `entities-${name}`, async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
}

/** Of what differs from others by its content only, one look says enough; pictures are taken of all. */
async function expectFine(page: Page, name: string): Promise<void> {
  if (process.env['CAIRN_SCREENSHOTS'] !== undefined) return expectGood(page, name)
  await page.setViewportSize(SIZES.phone)
  await expectFits(page)
  expect(await axe(page), name).toEqual([])
}

const heading = (page: Page, name: string | RegExp) =>
  page.getByRole('heading', { level: 1, name }).waitFor()

test('turns the pages of 10,000 entities both ways, keeps the focus, and jumps to a number', async () => {
  const { page } = await openPage(`${url}/#/main/entities`)
  await page.getByText('1–50 of 10,000').waitFor()
  await page.getByRole('link', { name: 'light:00003', exact: true }).waitFor()
  await expectGood(page, 'list')
  const next = page.getByRole('link', { name: 'Next →' })
  await next.focus()
  await page.keyboard.press('Enter')
  await page.getByText('51–100 of 10,000').waitFor()
  await page.getByRole('status').getByText('Entities 51 to 100').waitFor()
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Next →')
  await page.keyboard.press('Enter')
  await page.getByText('101–150 of 10,000').waitFor()
  await page.getByRole('link', { name: '← Before' }).click()
  await page.getByText('51–100 of 10,000').waitFor()
  await page.getByRole('link', { name: 'light:00203', exact: true }).waitFor()
  await page.goBack()
  await page.getByText('101–150 of 10,000').waitFor()
  await page.getByLabel('Jump to').fill('9960')
  await page.keyboard.press('Enter')
  await page.getByText('9,960–10,000 of 10,000').waitFor()
  await page.getByText('user:09996').waitFor()
  expect(await next.getAttribute('aria-disabled')).toBe('true')
  await page.getByLabel('Jump to').fill('20000')
  await page.keyboard.press('Enter')
  await page.getByText('There is no number 20,000').waitFor()
  await page.getByRole('link', { name: 'From the beginning' }).click()
  await page.getByLabel('Order').selectOption('desc')
  await page.getByRole('link', { name: 'user:09996', exact: true }).waitFor()
})

test('finds by the beginning of an id, and shows what is written while one looks', async () => {
  const { page } = await openPage(`${url}/#/main/entities`)
  await page.getByText('1–50 of 10,000').waitFor()
  await page.getByLabel('Id begins with').fill('note:0000')
  await page.getByText('note:00006').waitFor()
  await expect.poll(() => page.getByRole('rowheader').count()).toBe(2)
  await expect.poll(() => page.url()).toContain('prefix=note%3A0000')
  await client.put('note:0000-new', { fresh: true })
  await page.getByRole('link', { name: 'note:0000-new' }).waitFor({ timeout: 9000 })
  await page.getByText('10,001 now').waitFor()
  await page.getByLabel('At', { exact: true }).selectOption({ index: 1 })
  await page.getByText('As it was in the snapshot').waitFor()
  await page.getByText('10,000 in the snapshot').waitFor()
  await expect.poll(() => page.getByRole('rowheader').count()).toBe(2)
  await page.getByLabel('Id begins with').fill('nothing')
  await page.getByText('No id begins with “nothing”').waitFor()
  await client.delete('note:0000-new')
})

test('one entity: its value, its versions, what each changed, and the way down its DAG', async () => {
  await client.put('story', { title: 'One', tags: ['a', 'b'], at: { x: 1 } })
  await client.put('story', { title: 'Two', tags: ['a', 'new', 'b'], at: { x: 1 } })
  await client.delete('story')
  await client.put('story', { title: 'Two', other: true })
  const { page } = await openPage(`${url}/#/main/entities`)
  await page.getByText('1–50 of').waitFor()
  await page.getByLabel('Id begins with').fill('story')
  await page.getByRole('link', { name: 'story', exact: true }).click()
  await heading(page, 'story')
  expect(await page.evaluate('document.activeElement.tagName')).toBe('H1')
  await page.getByText('"Two"').waitFor()
  await page.getByText('deleted', { exact: true }).waitFor()
  await page.getByText('written again').waitFor()
  await page.getByRole('button', { name: 'What changed' }).click()
  await page.getByText('"One"').waitFor()
  await expect
    .poll(() => page.locator('.change').allTextContents())
    .toEqual(['+added tags.1"new"', '~changed title"One" → "Two"'])
  await expectGood(page, 'entity')
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Save as a file' }).click()
  expect((await download).suggestedFilename()).toBe('story.json')
  // Live: the next version comes by itself.
  await client.put('story', { title: 'Three' })
  await page.getByText('Version 5').waitFor({ timeout: 9000 })
  await page.getByText('"Three"').waitFor()
  await page.getByRole('link', { name: 'Walk the DAG' }).click()
  await heading(page, 'Value')
  await page.getByText('a block at the end').waitFor()
  await client.delete('story')
})

test('walks from the newest snapshot to a leaf; a block that is not there is told', async () => {
  const { snapshot } = await client.checkpoint()
  const { page } = await openPage(`${url}/#/main/block/${snapshot}`, { allow: /status of 404/ })
  await heading(page, 'Snapshot')
  await expectGood(page, 'block')
  await page.locator('.links li', { hasText: 'root' }).getByRole('link').first().click()
  await heading(page, 'Node of the tree of entities')
  await page.locator('.links a').first().click()
  const crumbs = page.getByRole('navigation', { name: 'The way here' }).getByRole('link')
  await expect.poll(() => crumbs.count()).toBe(2)
  await crumbs.first().click()
  await heading(page, 'Snapshot')
  const absent = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  await page.goto(`${url}/#/main/block/${absent}`)
  await page.getByRole('alert').waitFor()
  await page.goto(`${url}/#/main/block/no-cid`)
  await page.getByText(/is no CID/).waitFor()
}, 90_000)

/** The picture was taken for one; the page's policy allows no waiting inside of it. */
async function shown(page: Page): Promise<void> {
  const width = 'document.querySelector("img.picture")?.naturalWidth ?? 0'
  await expect.poll(() => page.evaluate(width)).toBeGreaterThan(0)
}

const RTL = 'pay\u202etxt.exe\u202c<img src=x onerror=alert(1)>'
const LONG = `${'ж'.repeat(254)}ok`
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="window.hit=1">
<script>window.hit = 1; parent.hit = 1</script><rect width="40" height="40" fill="teal"/></svg>`
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

test('hostile ids and contents are text, and nothing else', async () => {
  let deep: unknown = 'the bottom'
  for (let i = 0; i < 190; i++) deep = { d: deep }
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  const hostile: readonly (readonly [string, unknown])[] = [
    [
      `0/${RTL}`,
      { '<b>name</b>': '</script><script>window.hit=1</script>', rtl: '\u202eabc', nul: '\u0000' },
    ],
    [`0/${LONG}`, { x: 1 }],
    ['0/../..', { up: true }],
    ['0/deep', deep],
    ['0/long', { text: 'x'.repeat((1 << 20) - 100) }],
    ['0/svg', bytes(SVG)],
    ['0/png', Uint8Array.from(atob(PNG), (char) => char.charCodeAt(0))],
    ['0/html', bytes('<html><script>window.hit=1</script>')],
    ['0/bytes', Uint8Array.from({ length: 700 }, (_, i) => i % 256)],
    ['0/file', new Uint8Array(3_000_000).fill(97)],
    ['0/proto', { constructor: null, toString: 1, '': 2 }],
  ]
  for (const [pi, value] of hostile) await client.put(pi, value)
  const { page } = await openPage(`${url}/#/main/entities?prefix=0/`)
  await page.getByText('U+202E').first().waitFor()
  await expect.poll(() => page.getByRole('rowheader').count()).toBe(hostile.length)
  await expectGood(page, 'hostile')
  const open = async (pi: string): Promise<void> => {
    await page.goto(`${url}/#/main/entities/${encodeURIComponent(pi)}`)
    await page.getByRole('heading', { name: 'Content' }).waitFor()
    await page.getByRole('button', { name: 'Save as a file' }).waitFor()
  }
  await page.getByRole('link', { name: /^0\/pay/ }).click()
  await page.getByText('</script><script>window.hit=1</script>').waitFor()
  await page.getByText('U+0000').waitFor()
  await expectFine(page, 'hostile-value')
  await open(`0/${LONG}`)
  await expectFine(page, 'long-id')
  await open('0/../..')
  await page.getByText('up').waitFor()
  await open('0/deep')
  await page.getByRole('tab', { name: 'Text' }).click()
  await page.getByText('the bottom').waitFor()
  await expectFits(page)
  await open('0/long')
  await page.getByText(/characters more/).waitFor()
  await expectFits(page)
  await open('0/svg')
  await page.getByText('<svg').waitFor()
  await expect.poll(() => page.locator('main img').count()).toBe(0)
  await expect.poll(() => page.locator('main svg script').count()).toBe(0)
  await open('0/png')
  await shown(page)
  await expectFine(page, 'picture')
  await open('0/html')
  await page.getByText('<html><script>').waitFor()
  await open('0/bytes')
  await page.getByRole('region', { name: 'Bytes in hexadecimal' }).waitFor()
  await expectFine(page, 'bytes')
  await open('0/file')
  await page.getByText(/^Text, More than 1 MB; the beginning is shown$/).waitFor()
  await open('0/proto')
  await page.getByText('constructor').waitFor()
  expect(await page.evaluate('window.hit')).toBeUndefined()
  for (const [pi] of hostile) await client.delete(pi)
}, 120_000)

test('a CAR opens in the page of a service too, and nothing of it is sent anywhere', async () => {
  const { page } = await openPage(`${url}/#/main/car`)
  await heading(page, 'Open a CAR')
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.method()))
  await page.locator('input[type=file]').setInputFiles(SOUND)
  await page.getByRole('heading', { level: 2, name: /^Whole: / }).waitFor()
  await page.getByRole('link', { name: 'Growth' }).click()
  await heading(page, 'How it grows')
  await page.getByRole('link', { name: 'Open a CAR' }).click()
  await page.getByRole('heading', { level: 2, name: /^Whole: / }).waitFor()
  await expectFine(page, 'car')
  expect(asked.filter((method) => method !== 'GET')).toEqual([])
  await page.getByRole('button', { name: 'Close the CAR' }).click()
  await page.getByText('Drop a CAR here').waitFor()
})

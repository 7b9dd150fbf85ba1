/** A CAR in the viewer, which is one file on the disk: opened, proved, browsed; a damaged one says where. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CarFile } from '../../src/car/file.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { verifyCar } from '../../src/engine/verify-car.ts'
import { axe, eachLook, expectFits, openPage } from '../helpers/browser.ts'
import { carPath, writeCar } from '../helpers/cars.ts'
import { openTest } from '../helpers/engine.ts'
import { buildViewer, type BuiltViewer } from './car-view-build.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url))

let viewer: BuiltViewer
const base = carPath()
const delta = carPath()

beforeAll(async () => {
  viewer = await buildViewer()
  const { dataset } = await openTest({ name: 'scenes', init: { content: 'linked', chunkSize: 64 } })
  await fillDataset(dataset)
})

afterAll(async () => {
  await viewer.remove()
  await Promise.all([base, delta].map((path) => rm(path, { force: true })))
})

async function fillDataset(dataset: Dataset): Promise<void> {
  const value = (i: number) => ({ name: `Scene ${i}`, lights: [{ on: true, level: i % 7 }] })
  const puts = Array.from({ length: 300 }, (_, i) => ({
    pi: `scene:${String(i).padStart(4, '0')}`,
    value: value(i),
  }))
  await dataset.putBatch(puts)
  await dataset.put('big-file', new Uint8Array(2_500_000).fill(65))
  await dataset.build({ reason: 'the first one', tags: ['v1'] })
  await writeCar(dataset, base)
  await dataset.put('scene:0003', { ...value(3), name: 'Changed' })
  await dataset.append({ pi: 'scene:0004', tip: null })
  await dataset.build({ reason: 'the second one' })
  await dataset.put('scene:0005', { ...value(5), note: 'not in a snapshot yet' })
  await writeCar(dataset, delta, { since: 'v1' })
}

const choose = (page: Page, ...paths: string[]): Promise<void> =>
  page.locator('input[type=file]').setInputFiles(paths)

async function expectGood(page: Page, name: string): Promise<void> {
  await eachLook(page, `car-${name}`, async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
}

const heading = (page: Page, name: string | RegExp, level = 1) =>
  page.getByRole('heading', { level, name }).waitFor()

test('opens a CAR from the disk, proves it, and browses it', async () => {
  const { page } = await openPage(viewer.url)
  await page.getByText('Nothing is uploaded.', { exact: false }).waitFor()
  await expectGood(page, 'pick')
  await choose(page, base)
  await heading(page, basename(base))
  await heading(page, /^Whole: [\d,]+ blocks proved$/, 2)
  await page.getByText('the first one').waitFor()
  await expectGood(page, 'overview')

  await page.getByRole('link', { name: 'Entities', exact: true }).click()
  await heading(page, 'Entities')
  await page.getByText('1–50 of 301').waitFor()
  await page.getByLabel('Id begins with').fill('scene:0003')
  await page.getByRole('link', { name: 'scene:0003', exact: true }).click()
  await heading(page, 'scene:0003')
  await page.getByText('"Scene 3"').waitFor()
  await expectGood(page, 'entity')

  await page.getByRole('link', { name: 'Walk the DAG' }).click()
  await page.getByText(/^offset [\d,]+$/).waitFor()
  await expectGood(page, 'block')
})

test('walks from a snapshot down to a value, and back along the way', async () => {
  const { page } = await openPage(viewer.url)
  await choose(page, base)
  await heading(page, /^Whole/, 2)
  await page.locator('.links a').first().click()
  await heading(page, 'Checkpoint')
  for (const _ of [1, 2, 3, 4]) {
    const before = await page.locator('h1 + p code').textContent()
    await page.locator('.links a').last().click()
    await page.waitForFunction(
      (cid) => document.querySelector('h1 + p code')?.textContent !== cid,
      before,
    )
    if ((await page.locator('.links a').count()) === 0) break
  }
  const crumbs = page.getByRole('navigation', { name: 'The way here' }).getByRole('link')
  await expect.poll(() => crumbs.count()).toBeGreaterThan(1)
  await crumbs.first().click()
  await heading(page, 'Checkpoint')
  await expect.poll(() => crumbs.count()).toBe(0)
  await page.goBack()
  await crumbs.first().waitFor()
})

test('takes a file that is dropped anywhere, and says why it is no CAR', async () => {
  const { page } = await openPage(viewer.url)
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.evaluate(`(() => {
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File(['not a CAR at all'], 'notes.txt'))
    for (const type of ['dragover', 'drop'])
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }))
  })()`)
  await page.getByText('notes.txt', { exact: true }).waitFor()
  await page.getByText('could not be opened.').waitFor()
  expect(await page.evaluate('document.activeElement.tagName')).toBe('H1')
})

test('a delta says that it needs its base, and is whole with it', async () => {
  const { page } = await openPage(viewer.url)
  await choose(page, delta)
  await page.getByText(/base/i).first().waitFor()
  await heading(page, /^Whole as far as it goes/, 2)
  await expectGood(page, 'delta')
  await choose(page, base)
  await heading(page, /^Whole: /, 2)
  await page.getByText('Delta since').waitFor()
  await page.getByRole('link', { name: 'Snapshots' }).click()
  await page.getByText('the second one').waitFor()
  await page.getByText('the first one').waitFor()
  await expectGood(page, 'snapshots')
  await page.getByRole('link', { name: 'Its chunks' }).first().click()
  await heading(page, /^Chunks of snapshot/)
  await page.getByRole('row').nth(3).waitFor()
  await page.getByRole('link', { name: 'Entities', exact: true }).click()
  await page.getByRole('link', { name: 'scene:0005' }).click()
  await page.getByRole('button', { name: 'What changed' }).click()
  await page.getByText('not in a snapshot yet').first().waitFor()
  await expectGood(page, 'versions')
})

test('a flipped byte: which block, at which offset, and what to do', async () => {
  const bytes = await readFile(base)
  const at = Math.floor(bytes.length / 2)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  const damaged = carPath()
  await writeFile(damaged, bytes)
  const car = await CarFile.open(damaged)
  const { problems } = await verifyCar([car])
  await car.close()
  const [problem] = problems
  const { page } = await openPage(viewer.url)
  await choose(page, damaged)
  const offset = problem?.offset?.toLocaleString('en-US')
  await heading(page, `Damaged: the block …\u2060${problem?.cid?.slice(-6)} at offset ${offset}`, 2)
  await page.getByText(problem?.message ?? 'none', { exact: true }).waitFor()
  const place = `${basename(damaged)}, offset ${offset}`
  await page.getByText(place).waitFor()
  await page.getByText('Take another copy of the file, or make a new export.').waitFor()
  await page.locator(`.problems code[title="${problem?.cid}"]`).waitFor()
  await expectGood(page, 'damaged')
  await rm(damaged)
})

test('what cannot be opened is said so, with what to do', async () => {
  const { page } = await openPage(viewer.url)
  await choose(page, `${FIXTURES}corrupt/empty-file.car`)
  await page.getByText('invalid_car').waitFor()
  await choose(page, `${FIXTURES}age/hello.age`)
  await page.getByText(/is encrypted/).waitFor()
  await page.getByText(/A page cannot decrypt it/).waitFor()
  await expectGood(page, 'refused')
  await choose(page, `${FIXTURES}corrupt/header-of-version-2.car`)
  await page.getByText('Its entities cannot be shown.').waitFor()
  await heading(page, /^Damaged/, 2)
  await expectGood(page, 'no-state')
})

/** A picture of 10^12 squares: whoever draws it does nothing else any more. */
const ENDLESS_SVG = `<svg xmlns="http://www.w3.org/2000/svg"><g id="g0"><rect width="1" height="1"/></g>${Array.from(
  { length: 12 },
  (_, i) => `<g id="g${i + 1}">${`<use href="#g${i}"/>`.repeat(10)}</g>`,
).join('\n')}</svg>`

test('hostile values, deeper and stranger than a service would take, are shown as text', async () => {
  const { dataset } = await openTest({ init: { content: 'linked' } })
  let deep: unknown = 'the bottom'
  for (let i = 0; i < 900; i++) deep = [deep]
  await dataset.put('deep', deep)
  await dataset.put('drawing', new TextEncoder().encode(ENDLESS_SVG))
  await dataset.put('large', { n: 2n ** 63n })
  await dataset.put('turned', {
    t: '\u202e'.repeat(150_000),
    marks: `a${'\u0301'.repeat(150_000)}`,
  })
  await dataset.put('proto', JSON.parse('{"__proto__": {"x": 1}, "/": "<img src=x>"}'))
  await dataset.put('<script>hit=1</script>\u202e', { '\u0007': '\u2066<b>x</b>' })
  await dataset.build({ reason: '<img src=x onerror=hit=1>', tags: ['<b>'] })
  const path = carPath()
  await writeCar(dataset, path)
  const { page } = await openPage(viewer.url)
  await choose(page, path)
  await heading(page, /^Whole/, 2)
  await page.getByText('<img src=x onerror=hit=1>').waitFor()
  await page.getByRole('link', { name: 'Entities', exact: true }).click()
  await page.getByText('<script>hit=1</script>').click()
  await page.getByText('U+2066').waitFor()
  await page.getByText('<b>x</b>').waitFor()
  await page.getByRole('link', { name: 'Entities', exact: true }).first().click()
  await page.getByRole('link', { name: 'proto' }).click()
  await page.getByText('__proto__').waitFor()
  await page.getByRole('link', { name: 'Entities', exact: true }).first().click()
  await page.getByRole('link', { name: 'deep' }).click()
  await page.getByRole('tab', { name: 'Text' }).click()
  await page.getByText('the bottom').waitFor()
  await page.getByRole('link', { name: 'Entities', exact: true }).first().click()
  await page.getByRole('link', { name: 'large' }).click()
  await page.getByRole('tab', { name: 'Text' }).click()
  await page.getByText('"n": 9223372036854775808').waitFor()
  await page.getByRole('link', { name: 'Entities', exact: true }).first().click()
  await page.getByRole('link', { name: 'turned' }).click()
  const before = Date.now()
  for (const _ of [1, 2]) {
    const more = page.getByRole('button', { name: /characters more$/ })
    for (const one of await more.all()) await one.click()
    await page.evaluate('new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))')
  }
  expect(Date.now() - before).toBeLessThan(5000)
  await page.getByRole('link', { name: 'Entities', exact: true }).first().click()
  await page.getByRole('link', { name: 'drawing' }).click()
  await page.getByText('<use href="#g0"/>').first().waitFor()
  await expectFits(page)
  expect(await page.evaluate('window.hit')).toBeUndefined()
  await rm(path)
})

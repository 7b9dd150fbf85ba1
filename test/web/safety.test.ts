/** The view of safety: it says what the service says, in a sentence, and stays true while one looks. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { axe, eachLook, expectFits, openPage } from '../helpers/browser.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { fill } from '../helpers/page-data.ts'
import { serve } from '../helpers/served.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
})
afterAll(() => sandbox.remove())

test('says that the data is safe, since when, and what that rests on', async () => {
  const { url } = await serve(sandbox)
  await fill(url, { car: true, drill: true, recent: 12 })
  const { page } = await openPage(`${url}/`)
  await page.getByRole('heading', { level: 1, name: 'Your data is safe' }).waitFor()
  await page.getByText(/^Everything up to .* is saved; last proved restorable .*\.$/).waitFor()
  await page.getByText('12 entries are saved already, and not in a snapshot yet.').waitFor()
  await page.getByText('user:00004').first().waitFor()
  await eachLook(page, 'safety', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
})

test('says what is wrong and what helps', async () => {
  const { url } = await serve(sandbox, ['--export-schedule', 'never', '--drill-schedule', 'never'])
  await fill(url, { entities: 20, snapshots: 1 })
  const { page } = await openPage(`${url}/`)
  await page.getByRole('heading', { level: 1, name: 'Your data is at risk' }).waitFor()
  await page
    .getByText(/No backups found!/)
    .first()
    .waitFor()
  await page.getByText('cairn export-car').first().waitFor()
  await eachLook(page, 'risk', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
})

test('shows what is written at once, and builds a snapshot when told to', async () => {
  const { url } = await serve(sandbox)
  const client = await fill(url, { entities: 30, snapshots: 1 })
  const { page } = await openPage(`${url}/`)
  await page.getByText('Nothing is waiting for one.').waitFor()
  await client.put('fresh:1', { now: true })
  // Long before anything is asked for anew by itself.
  await page.getByText('fresh:1').waitFor({ timeout: 8000 })
  await page.getByText('1 entry is saved already, and not in a snapshot yet.').waitFor()
  await page.getByRole('button', { name: 'Build a snapshot now' }).click()
  await page.getByText('Snapshot 2 was built.').first().waitFor()
  expect((await client.snapshot('latest')).reason).toBe('the page')
})

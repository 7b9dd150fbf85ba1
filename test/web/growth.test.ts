/** The view of growth: charts of what the service has sampled, of snapshots, CARs and jobs. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { axe, eachLook, expectFits, openPage } from '../helpers/browser.ts'
import { builtPage, builtWithPage } from '../helpers/page-build.ts'
import { fill } from '../helpers/page-data.ts'
import { startService } from '../helpers/service.ts'
import { serve } from '../helpers/served.ts'
import { ROUTES } from '../../src/service/routes/index.ts'
import { pageRoutes, pageRoutesOf } from '../../src/service/routes/page.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
})
afterAll(() => sandbox.remove())

test('draws what lasts, with the numbers beside it', async () => {
  const { url } = await serve(sandbox)
  const client = await fill(url, { entities: 300, snapshots: 6, car: true, recent: 5 })
  const { page } = await openPage(`${url}/#/main/growth`)
  await page.getByRole('img', { name: 'Entities in each snapshot' }).waitFor()
  await page.getByRole('img', { name: 'Sizes of CARs' }).waitFor()
  await page.getByRole('img', { name: 'How long jobs took' }).waitFor()
  await page.getByText('The numbers: Entities in each snapshot').click()
  const { items } = await client.snapshots()
  await expect
    .poll(() =>
      page
        .getByRole('table', { name: /Entities in each snapshot/ })
        .getByRole('row')
        .count(),
    )
    .toBe(items.length + 1)
  await eachLook(page, 'growth', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
})

test('draws the last day as it was sampled, with gaps where nothing was', async () => {
  const folder = await builtPage()
  const MINUTE = 60_000
  // The page draws what the clock of the service says.
  let now = Date.now() - 90 * MINUTE
  const { url, service } = await startService({
    automation: false,
    now: () => now,
    routes: [...ROUTES.filter((one) => one !== pageRoutes), (own) => pageRoutesOf(own, folder)],
  })
  for (let i = 0; i < 90; i++) {
    if (i < 30 || i > 40) await service.samples.take()
    now += MINUTE
  }
  const { page } = await openPage(`${url}/#/main/growth`)
  await page.getByRole('tab', { name: 'Half an hour' }).focus()
  await page.keyboard.press('ArrowRight')
  expect(await page.getByRole('tab', { name: 'A day' }).getAttribute('aria-selected')).toBe('true')
  const chart = page.getByRole('img', { name: 'Memory of the service over time' })
  await chart.waitFor()
  const line = await chart.locator('path.line').getAttribute('d')
  expect(line?.match(/M/g)).toHaveLength(2)
  expect(line?.match(/L/g)).toHaveLength(79 - 2)
  await page.getByText('The numbers: Memory of the service over time').click()
  await page.getByRole('table', { name: /^Memory of the service over time/ }).waitFor()
  await eachLook(page, 'growth-day', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
})

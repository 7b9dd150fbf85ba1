/** The view of coverage: it says what the service works out, also of a CAR that is damaged. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type CoverageRecord } from '../../src/client/index.ts'
import { answerOf, intervalAt, recoveryText } from '../../web/src/views/coverage/words.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { axe, eachLook, expectFits, openPage } from '../helpers/browser.ts'
import { flipped } from '../helpers/damage.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { serve } from '../helpers/served.ts'
import { seeded, STILL } from './seed.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
}, 120_000)
afterAll(() => sandbox.remove())

const at = (minute: number): string => new Date(Date.UTC(2026, 4, 1, 12, minute)).toISOString()

test('a hole, a loss and a lack are told in words', () => {
  const hole = { from: at(0), to: at(10), store: null, cars: null }
  const car = {
    by: 'car' as const,
    name: 'main-7.car',
    exact: false,
    state_of: at(10),
    loses_ms: 600_000,
    proved_at: at(11),
    proved_by: 'drill' as const,
  }
  const kept = { from: at(10), to: at(20), store: null, cars: car }
  const coverage: CoverageRecord = {
    dataset: 'main',
    checked_at: at(20),
    from: at(0),
    to: at(20),
    covered: false,
    intervals: [hole, kept],
    findings: [
      { kind: 'hole', level: 'critical', from: at(0), to: at(10), message: 'm', hint: 'h' },
    ],
  }
  expect(answerOf(coverage, [], Date.parse(at(20)))).toMatchObject({
    level: 'critical',
    headline: 'Of one stretch of time nothing can be brought back',
    detail: expect.stringMatching(/up to 10 min of changes would be lost\.$/),
  })
  expect(intervalAt(coverage.intervals, Date.parse(at(10)))).toBe(kept)
  expect(intervalAt(coverage.intervals, Date.parse(at(20)))).toBe(kept)
  expect(intervalAt(coverage.intervals, Date.parse(at(9)))).toBe(hole)
  expect(intervalAt(coverage.intervals, Date.parse(at(21)))).toBeUndefined()
  expect(recoveryText(null)).toBe('nothing')
  expect(recoveryText(car)).toMatch(/^the state of .*, from main-7\.car$/)
})

test('says what could be brought back, and what would be lost', async () => {
  const { url } = await serve(sandbox, STILL, {}, await seeded(sandbox))
  const client = connect({ url }).dataset('main')
  await client.run({ kind: 'verify' })
  await client.run({ kind: 'drill' })
  const { intervals } = await client.coverage()
  const { page } = await openPage(`${url}/#/main/coverage`)
  page.setDefaultTimeout(10_000)
  await page.getByRole('heading', { level: 1, name: /^Every moment since / }).waitFor()
  await page
    .getByText(/^If the store were lost now, the CARs would bring back the state of/)
    .waitFor()
  await page.getByText('by restoring it on trial: ').waitFor()
  await page.getByText('Not known here').waitFor()
  const rows = page.getByRole('table').getByRole('row')
  await expect.poll(() => rows.count()).toBe(intervals.length + 1)
  await page.getByLabel('When was it as it should be?').fill('2020-01-01T00:00')
  await page.getByText('Nothing from so long ago is kept.').waitFor()
  await eachLook(page, 'coverage', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
}, 120_000)

test('a CAR that could not be restored on trial is not proved, and that is an alert', async () => {
  const dir = await seeded(sandbox)
  const { url } = await serve(sandbox, STILL, {}, dir)
  const client = connect({ url }).dataset('main')
  const filename = (await client.backups())[0]?.filename ?? ''
  const path = join(dir, 'backups', filename)
  const bytes = await readFile(path)
  await writeFile(path, flipped(bytes, Math.floor(bytes.length / 2)))
  await expect(client.run({ kind: 'drill' })).rejects.toThrow('The drill of "main" failed')
  const { page } = await openPage(`${url}/#/main/coverage`)
  page.setDefaultTimeout(10_000)
  await page.getByText(`${filename}: the last drill with it failed`).waitFor()
  await page.getByRole('heading', { level: 1, name: /is in doubt$/ }).waitFor()
  await page.getByText(/^The drill of .* failed$/).waitFor()
  await eachLook(page, 'coverage-damaged', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
  await page.getByRole('link', { name: 'Timeline' }).click()
  await page.getByText('the last trial of restoring it failed').waitFor()
}, 120_000)

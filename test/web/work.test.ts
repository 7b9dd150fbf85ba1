/** Work: every job that can be started is, on real data, and says how it ended; a damaged CAR is found. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type JobProgress } from '../../src/client/index.ts'
import { amountText, outcomeText, paceText } from '../../web/src/views/work/words.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { axe, eachLook, expectFits, openPage } from '../helpers/browser.ts'
import { flipped } from '../helpers/damage.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { serve } from '../helpers/served.ts'
import { NEWEST, seeded, STILL } from './seed.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
}, 120_000)
afterAll(() => sandbox.remove())

test('says how fast it goes and how long it takes yet, once that can be known', () => {
  const at = (seconds: number, done: number, step = 'merge'): JobProgress => ({
    step,
    done,
    total: 1000,
    at: new Date(seconds * 1000).toISOString(),
  })
  const count = amountText('build', 'merge')
  expect(paceText(undefined, at(0, 0), count)).toBe('')
  expect(paceText(at(0, 0), at(0, 10), count)).toBe('')
  expect(paceText(at(0, 0), at(4, 200), count)).toBe('50 a second, about 16 s left')
  expect(paceText(at(0, 0), at(4, 1000), count)).toBe('250 a second')
  expect(paceText(at(0, 0, 'prove'), at(4, 200), count)).toBe('')
  expect(amountText('export', 'read back')(1_500_000)).toBe('1.5 MB')
})

const card = (page: Page, title: string) => page.getByRole('region', { name: title })

test('builds, exports, verifies, drills and prunes, and says what came of it', async () => {
  const { url } = await serve(sandbox, STILL, {}, await seeded(sandbox))
  const client = connect({ url }).dataset('main')
  await client.put('late:1', { late: true })
  const { page } = await openPage(`${url}/#/main/work`, { allow: /status of 400/ })
  page.setDefaultTimeout(15_000)
  await page.getByText('1 entry waits for one.').waitFor()
  await card(page, 'Build a snapshot').getByRole('button', { name: 'Build' }).click()
  await card(page, 'Build a snapshot')
    .getByText(new RegExp(`^Snapshot ${NEWEST + 1} holds .* written, `))
    .waitFor()
  await card(page, 'Export a CAR')
    .getByLabel('Only what is new since')
    .selectOption(`seq:${NEWEST - 1}`)
  await card(page, 'Export a CAR').getByRole('button', { name: 'Export' }).click()
  await card(page, 'Export a CAR')
    .getByText(/read back and proved\.$/)
    .waitFor()
  expect((await client.backups())[0]).toMatchObject({ seq: NEWEST + 1, since: expect.any(String) })
  await card(page, 'Verify the store').getByRole('button', { name: 'Verify' }).click()
  await card(page, 'Verify the store')
    .getByText(/^No damage: [\d,]+ blocks proved/)
    .waitFor()
  await card(page, 'Drill: restore on trial').getByRole('button').click()
  await card(page, 'Drill: restore on trial')
    .getByText(/^Restored 10,\d+ entities in /)
    .waitFor()
  await prune(page)
  const done = page.getByRole('table', { name: /^Jobs since the service began/ })
  await done.getByText('Verify the store').waitFor()
  await eachLook(page, 'work', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })

  async function prune(on: Page): Promise<void> {
    const pruning = card(on, 'Prune snapshots')
    await pruning.getByLabel('Keep').fill('last=x')
    await pruning.getByRole('button', { name: 'See what would go' }).click()
    await pruning.getByRole('alert').waitFor()
    await pruning.getByLabel('Keep').fill('last=5')
    await pruning.getByRole('button', { name: 'See what would go' }).click()
    const dialog = on.getByRole('dialog', { name: 'Prune snapshots: what would go' })
    await dialog.getByText(/snapshots would go/).waitFor()
    await eachLook(on, 'prune', async (look) => {
      await expectFits(on)
      expect(await axe(on), look).toEqual([])
    })
    const before = (await client.snapshots()).items.length
    expect(before).toBe(NEWEST + 2)
    await dialog.getByRole('button', { name: 'Prune snapshots for good' }).click()
    await pruning.getByText(/snapshots are gone/).waitFor()
    expect((await client.snapshots()).items.length).toBeLessThan(before)
  }
}, 120_000)

test('a drill finds a damaged CAR, and says what helps', async () => {
  const dir = await seeded(sandbox)
  const { url } = await serve(sandbox, STILL, {}, dir)
  const client = connect({ url }).dataset('main')
  await damageNewest(dir, (await client.backups())[0]?.filename ?? '')
  const { page } = await openPage(`${url}/#/main/work`)
  page.setDefaultTimeout(15_000)
  await card(page, 'Drill: restore on trial').getByRole('button').click()
  const drill = card(page, 'Drill: restore on trial')
  await drill
    .getByRole('alert')
    .getByText(/^The drill of "main" failed: /)
    .waitFor()
  const jobs = await client.jobs({ kind: 'drill' })
  const job = jobs.find(({ state }) => state === 'failed')
  if (job === undefined) throw new Error('no drill has failed')
  const done = card(page, 'Done since the service began')
  await done.getByText(outcomeText(job)).first().waitFor()
  await done.getByText(/^What helps: Export a CAR anew, also if nothing is new/).waitFor()
  await eachLook(page, 'damaged', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
}, 120_000)

test('shows what runs, also when somebody else began it, and stops it', async () => {
  // The hook keeps an export from ending by itself.
  const slow = ['--after-export', 'sleep 60']
  const { url } = await serve(sandbox, [...STILL, ...slow], {}, await seeded(sandbox))
  const client = connect({ url }).dataset('main')
  const { page } = await openPage(`${url}/#/main/work`)
  page.setDefaultTimeout(15_000)
  await card(page, 'Export a CAR').waitFor()
  const { job } = await client.startJob({ kind: 'export' })
  const running = card(page, 'Running now')
  await running.getByText('Export a CAR').waitFor()
  await running.getByRole('progressbar').waitFor()
  await eachLook(page, 'running', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
  await card(page, 'Export a CAR').getByRole('button', { name: 'Export' }).click()
  await card(page, 'Export a CAR').getByText('It runs already: waiting for that one.').waitFor()
  await running.getByRole('button', { name: 'Stop: Export a CAR' }).click()
  await running.waitFor({ state: 'detached' })
  expect((await client.job(job.id)).state).toBe('cancelled')
  await card(page, 'Export a CAR').getByText('Stopped before its end.').waitFor()
  await card(page, 'Done since the service began').getByText('Stopped before its end.').waitFor()
}, 120_000)

test('says which right is lacking: after the first try, and before the next', async () => {
  const dir = await seeded(sandbox)
  const args = ['token', 'create', 'eyes', '--right', 'append', '--data-dir', dir]
  const token = (await sandbox.ok(args)).trim()
  const { url } = await serve(sandbox, STILL, {}, dir)
  const { page } = await openPage(`${url}/#/main/work`, { token, allow: /status of 403/ })
  page.setDefaultTimeout(10_000)
  const verify = card(page, 'Verify the store').getByRole('button', { name: 'Verify' })
  await verify.click()
  await page.getByText('Your token may not do all of this').waitFor()
  expect(await verify.isDisabled()).toBe(true)
  const drill = card(page, 'Drill: restore on trial')
  await drill.getByText('This needs a token with the right admin.').waitFor()
  // It may build all the same.
  const build = card(page, 'Build a snapshot')
  await build.getByRole('button', { name: 'Build' }).click()
  await build.getByText('Nothing was new: the newest snapshot has all of it.').waitFor()
  await eachLook(page, 'lacking', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
}, 120_000)

async function damageNewest(dir: string, filename: string): Promise<void> {
  const path = join(dir, 'backups', filename)
  const bytes = await readFile(path)
  await writeFile(path, flipped(bytes, Math.floor(bytes.length / 2)))
}

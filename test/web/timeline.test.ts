/** The timeline: what is there, and what can be done from it, on a dataset that has lived for a while. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type BackupRecord, type SnapshotRecord } from '../../src/client/index.ts'
import { generationsOf, historyOf } from '../../web/src/views/timeline/history.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { axe, eachLook, expectFits, openPage } from '../helpers/browser.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { serve } from '../helpers/served.ts'
import { NEWEST, seeded, STILL } from './seed.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
}, 120_000)
afterAll(() => sandbox.remove())

/** The question where to put a file, answered with a real one that this page alone can see. */
const PICKER = `window.showSaveFilePicker = async ({ suggestedName }) =>
  (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true })`

test('a new generation is marked where the CARs tell of it; what is newer than the current one was left', () => {
  const car = (seq: number, generation: number, minute: number) => {
    const ts = new Date(Date.UTC(2026, 4, 1, 12, minute)).toISOString()
    const snapshot_cid = `cid${seq}`
    return { filename: `${seq}-${minute}`, seq, generation, ts, timestamp: ts, snapshot_cid }
  }
  const cars = [car(2, 2, 30), car(3, 1, 20), car(1, 1, 10)] as unknown as BackupRecord[]
  expect(generationsOf(cars)).toEqual([{ at: Date.UTC(2026, 4, 1, 12, 30), generation: 2 }])
  expect(generationsOf(cars.slice(1))).toEqual([])
  const kept = [3, 2].map((seq) => ({ seq, cid: `cid${seq}`, current: seq === 2 }))
  const { moments, strays } = historyOf(kept as unknown as SnapshotRecord[], cars, [])
  expect(moments).toMatchObject([
    { left: true, before: { seq: 2 }, cars: [{ seq: 3 }] },
    { left: false, before: undefined, cars: [{ seq: 2 }] },
  ])
  expect(strays).toMatchObject([{ seq: 1 }])
})

test('tells of snapshots and CARs, downloads, rolls back and undoes that', async () => {
  const { url } = await serve(sandbox, STILL, {}, await seeded(sandbox))
  const client = connect({ url }).dataset('main')
  await client.put('late:1', { late: true })
  const before = await client.checkpoint()
  const { page, context } = await openPage(`${url}/#/main/timeline`)
  page.setDefaultTimeout(10_000)
  await context.addInitScript(PICKER)
  await page.reload()
  const newest = page.locator(`#snapshot-${NEWEST}`)
  await newest.getByText('Current', { exact: true }).waitFor()
  const { items } = await client.snapshots()
  const live = items[0]?.live ?? 0
  await newest.getByText(`${live.toLocaleString('en-US')} entities`).waitFor()
  await newest.getByText(`(+${live - (items[1]?.live ?? 0)} against ${NEWEST - 1})`).waitFor()
  const [car] = await client.backups()
  await page
    .locator(`#snapshot-${NEWEST - 1}`)
    .getByText(car?.filename ?? 'no CAR')
    .waitFor()
  await eachLook(page, 'timeline', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
  const list = page.getByRole('list', { name: 'Snapshots, newest first' })
  await page.getByRole('button', { name: /^Show \d+ more$/ }).click()
  await expect.poll(() => list.locator(':scope > li').count()).toBe(items.length)
  await page.locator('#snapshot-12').getByText('release-2').waitFor()
  await page.locator('#snapshot-20').getByText('delta', { exact: true }).waitFor()
  // The bytes of the file, and the token in no address.
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: `Download ${car?.filename}` }).click(),
  ])
  expect(download.suggestedFilename()).toBe(car?.filename)
  const bytes = await readFile(await download.path())
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(car?.sha256)
  await streamToDisk()
  await rollBack()
  await page.getByRole('button', { name: 'Undo the rollback' }).click()
  await newest.getByText('Current', { exact: true }).waitFor()
  const after = await client.checkpoint()
  expect(after).toMatchObject({ snapshot: before.snapshot, recent_count: before.recent_count })

  /** How large it gets is not known before, so it is written as it comes. */
  async function streamToDisk(): Promise<void> {
    await newest.getByRole('button', { name: 'Download as a CAR' }).click()
    await page.getByText(`main-${NEWEST}.car was downloaded.`).waitFor({ state: 'attached' })
    const size = await page.evaluate(
      `navigator.storage.getDirectory().then((dir) => dir.getFileHandle('main-${NEWEST}.car'))
        .then((handle) => handle.getFile()).then((file) => file.size)`,
    )
    const { stream } = await client.car({ snapshot: `seq:${NEWEST}` })
    expect(size).toBe((await new Response(stream).arrayBuffer()).byteLength)
  }

  async function rollBack(): Promise<void> {
    await page.getByRole('button', { name: 'Roll back to snapshot 28' }).click()
    const dialog = page.getByRole('dialog', { name: 'Roll back to snapshot 28' })
    const go = dialog.getByRole('button', { name: 'Roll back' })
    await dialog.getByText('Nothing is deleted').waitFor()
    await eachLook(page, 'rollback', async (look) => {
      await expectFits(page)
      expect(await axe(page), look).toEqual([])
    })
    expect(await go.isDisabled()).toBe(true)
    await dialog.getByLabel('Type main to go on').fill('main')
    await go.click()
    await page.locator('#snapshot-28').getByText('Current', { exact: true }).waitFor()
    await newest.getByText('left by a rollback or restore').waitFor()
    expect(await client.checkpoint()).toMatchObject({ seq: 28, recent_count: 0 })
    await page.getByText('Generation 2 has begun.').waitFor()
  }
}, 120_000)

test('leads to what changed, and says which right is lacking', async () => {
  const dir = await seeded(sandbox)
  const args = ['token', 'create', 'eyes', '--right', 'read', '--data-dir', dir]
  const token = (await sandbox.ok(args)).trim()
  const { url } = await serve(sandbox, STILL, {}, dir)
  const { page } = await openPage(`${url}/#/main/timeline`, { token, allow: /status of 403/ })
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  await page
    .locator('#snapshot-29')
    .getByRole('button', { name: 'Roll back to snapshot 29' })
    .click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Type main to go on').fill('main')
  await dialog.getByRole('button', { name: 'Roll back' }).click()
  await dialog.getByText('This needs the right admin.').waitFor()
  await dialog.getByRole('button', { name: 'Leave it as it is' }).click()
  // From now on it is said before.
  const again = page.locator('#snapshot-28').getByText('Roll back')
  expect(await again.isDisabled()).toBe(true)
  await page.locator('#snapshot-29').getByRole('link', { name: 'What changed' }).click()
  await page.getByText('From snapshot 28 to 29: 3 added, 12 changed, 1 removed.').waitFor()
  expect(asked.filter((one) => one.includes(token))).toEqual([])
}, 120_000)

/** What changed between two snapshots: the same lines that the service streams. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/client/index.ts'
import { kindOf } from '../../web/src/views/diff/kinds.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { axe, eachLook, expectFits, openPage } from '../helpers/browser.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { serve } from '../helpers/served.ts'
import { seeded, STILL } from './seed.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make(await builtWithPage())
}, 120_000)
afterAll(() => sandbox.remove())

test('what is gone because its time was over has expired', () => {
  const entry = { pi: 'a', ver: 1, tip: 'b', ts: '2026-01-01T00:00:00.000Z' }
  const to = Date.parse('2026-03-01T00:00:00Z')
  const gone = (exp: string | null) =>
    kindOf({ change: 'removed', pi: 'a', before: { ...entry, exp }, after: null }, to)
  expect(gone(null)).toBe('removed')
  expect(gone('2026-02-01T00:00:00.000Z')).toBe('expired')
  expect(gone('2026-04-01T00:00:00.000Z')).toBe('removed')
})

test('counts and lists what changed, by kind, and leads to the entity', async () => {
  const { url } = await serve(sandbox, STILL, {}, await seeded(sandbox))
  const client = connect({ url }).dataset('main')
  const found = { added: [] as string[], changed: [] as string[], removed: [] as string[] }
  for await (const { change, pi } of client.diff({ from: 'seq:5', to: 'seq:25' }))
    found[change].push(pi)
  const [added, changed, removed] = [found.added, found.changed, found.removed]
  expect(Math.min(added.length, changed.length, removed.length)).toBeGreaterThan(0)

  // What was removed is not there, and the page of the entity asks for it.
  const { page } = await openPage(`${url}/#/main/diff?from=seq:5&to=seq:25`, {
    allow: /status of 404/,
  })
  page.setDefaultTimeout(10_000)
  const sentence = `${added.length} added, ${changed.length} changed, ${removed.length} removed.`
  await page.getByText(`From snapshot 5 to 25: ${sentence}`).waitFor()
  const lines = page.getByRole('list', { name: 'Changes' })
  await eachLook(page, 'diff', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
  await page.getByRole('button', { name: /^Removed/ }).click()
  await expect.poll(() => lines.getByRole('link').allTextContents()).toEqual(removed)
  await lines.getByRole('link').first().click()
  await expect
    .poll(() => page.url())
    .toContain(`#/main/entities/${encodeURIComponent(removed[0] ?? '')}`)
  await page.goBack()
  // All of the entities are new beside the first snapshot, which was empty: only some are shown.
  await page.getByLabel('From', { exact: true }).selectOption('seq:0')
  await page.getByText('From snapshot 0 to 25: ').waitFor()
  const { live } = await client.snapshot('seq:25')
  await page.getByText(`${live.toLocaleString('en-US')} added.`).waitFor()
  await expect.poll(() => lines.getByRole('listitem').count()).toBe(500)
  await page.getByText(`${(live - 500).toLocaleString('en-US')} more were counted.`).waitFor()
  await page.getByLabel('To', { exact: true }).selectOption('seq:0')
  await page.getByText('There is nothing to compare').waitFor()
  await expect.poll(() => page.url()).toContain('from=seq%3A0')
}, 120_000)

test('stops when told to, and says that there may be more', async () => {
  const { url } = await serve(sandbox, STILL, {}, await seeded(sandbox))
  const { page } = await openPage(`${url}/#/main/safety`)
  page.setDefaultTimeout(10_000)
  // The service's answer, but its end comes only when this test lets it.
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  await page.route('**/diff?*', async (route) => {
    await held
    await route.continue().catch(() => {})
  })
  await page.evaluate(`location.hash = '#/main/diff?from=seq:0&to=seq:25'`)
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText(/until it was stopped; there may be more\.$/).waitFor()
  release()
}, 120_000)

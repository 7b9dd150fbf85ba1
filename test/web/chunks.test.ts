/** The picture of chunks: what a build rewrote of the tree, as the service's own lists of chunks say. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type ChunkRecord } from '../../src/client/index.ts'
import { cellsOf, compareChunks, layout } from '../../web/src/views/chunks/compare.ts'
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

const chunk = (i: number, entries = 100): ChunkRecord => ({
  cid: `c${i}`,
  last: `id${i}`,
  entries,
  live: entries,
  bytes: entries * 80,
})

test('what the other snapshot does not have was rewritten, what it alone has was replaced', () => {
  const before = [chunk(1), chunk(2), chunk(3)]
  const after = [chunk(1), chunk(4, 50), chunk(5, 60), chunk(3)]
  expect(compareChunks(after, before)).toMatchObject({
    rewritten: 2,
    rewrittenBytes: 110 * 80,
    bytes: 310 * 80,
    entries: 310,
    replaced: 1,
    chunks: [
      { isNew: false, after: undefined },
      { isNew: true, after: 'id1' },
      {},
      { isNew: false },
    ],
  })
  expect(compareChunks(after, undefined)).toMatchObject({ rewritten: 0, replaced: 0 })
})

test('many chunks become few boxes, none of them lost, in the order of ids', () => {
  for (const count of [0, 1, 2, 599, 600, 601, 1000, 20_000]) {
    const chunks = Array.from({ length: count }, (_, i) => chunk(i, 1 + ((i * 7919) % 900)))
    const { chunks: views, entries } = compareChunks(chunks, [])
    const cells = cellsOf(views, 600)
    expect(cells.length).toBeLessThanOrEqual(600)
    expect(cells.flatMap((cell) => cell.chunks)).toEqual(views)
    expect(cells.reduce((sum, cell) => sum + cell.entries, 0)).toBe(entries)
    const boxes = layout(cells, 1000, 18)
    expect(boxes.length).toBe(cells.length)
    boxes.forEach(({ x, row, width }, i) => {
      const before = boxes[i - 1]
      expect(width).toBeGreaterThan(0)
      expect(x + width).toBeLessThanOrEqual(1000.001)
      if (before?.row === row) expect(x).toBeCloseTo(before.x + before.width)
      else expect([x, row]).toEqual([0, before === undefined ? 0 : before.row + 1])
    })
  }
})

test('shows which chunks the last build rewrote, by pointer, by keyboard and as a table', async () => {
  const { url } = await serve(sandbox, STILL, {}, await seeded(sandbox))
  const client = connect({ url }).dataset('main')
  const chunksOf = async (selector: string): Promise<ChunkRecord[]> => {
    const all: ChunkRecord[] = []
    for await (const one of client.chunks(selector)) all.push(one)
    return all
  }
  const [now, before] = [await chunksOf('latest'), await chunksOf(`seq:${NEWEST - 1}`)]
  const known = new Set(before.map(({ cid }) => cid))
  const fresh = now.filter(({ cid }) => !known.has(cid))
  expect(fresh.length).toBeGreaterThan(0)
  expect(fresh.length).toBeLessThan(now.length)

  const { page } = await openPage(`${url}/#/main/chunks`)
  page.setDefaultTimeout(10_000)
  await page
    .getByText(
      new RegExp(
        `^Since snapshot ${NEWEST - 1}, snapshot ${NEWEST} rewrote ${fresh.length} of ${now.length} chunks, `,
      ),
    )
    .waitFor()
  const cells = page.locator('.chunk-cell')
  await expect.poll(() => cells.count()).toBe(now.length)
  await expect.poll(() => page.locator('.chunk-cell[data-fresh="1"]').count()).toBe(fresh.length)
  const picture = page.getByRole('slider')
  await picture.focus()
  await page.keyboard.press('End')
  expect(await picture.getAttribute('aria-valuetext')).toContain(`up to ${now.at(-1)?.last}`)
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowRight')
  await page
    .locator('.chunk-reading')
    .getByText(now[1]?.last ?? '')
    .waitFor()
  await eachLook(page, 'chunks', async (look) => {
    await expectFits(page)
    expect(await axe(page), look).toEqual([])
  })
  await page.getByText('All chunks as a table').click()
  await page.getByRole('button', { name: 'Only rewritten ones' }).click()
  const rows = page.getByRole('table').getByRole('row')
  await expect.poll(() => rows.count()).toBe(fresh.length + 1)
  await expectFits(page)
  await page.getByLabel('Compared with').selectOption('seq:0')
  await page.getByText(/^Since snapshot 0, snapshot 31 rewrote/).waitFor()
  await expect.poll(() => page.url()).toContain('against=seq%3A0')
  await page.getByLabel('Snapshot', { exact: true }).selectOption('seq:0')
  await page.getByText(/^Snapshot 0 has 0 entries/).waitFor()
}, 120_000)

/**
 * The pictures of the page in docs/images: the demo of `npm start` in a real Chromium.
 *
 *   node scripts/screenshots.mjs [--chromium FILE]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

const { values: flags } = parseArgs({
  options: { chromium: { type: 'string', default: '/usr/bin/chromium' } },
})
const images = fileURLToPath(new URL('../docs/images/', import.meta.url))
const folder = join(await mkdtemp(join(tmpdir(), 'cairn-shots-')), 'demo')

const DESK = { viewport: { width: 1200, height: 760 }, colorScheme: 'light' }
const PHONE = { viewport: { width: 390, height: 780 }, colorScheme: 'dark' }
const SHOTS = [
  { name: 'safety', look: DESK, view: 'safety' },
  { name: 'safety-phone', look: PHONE, view: 'safety' },
  { name: 'growth', look: DESK, view: 'growth' },
  { name: 'timeline', look: DESK, view: 'timeline' },
  { name: 'diff', look: DESK, view: 'diff' },
  { name: 'chunks', look: DESK, view: 'chunks' },
  { name: 'chunks-phone', look: PHONE, view: 'chunks' },
  { name: 'entity', look: DESK, view: 'entities/object:00021' },
  { name: 'work', look: DESK, view: 'work' },
  { name: 'coverage', look: DESK, view: 'coverage' },
]

async function start() {
  const script = fileURLToPath(new URL('start.mjs', import.meta.url))
  const child = spawn(process.execPath, [script, folder, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /listens on (http\S+)/.exec(line) ?? []
    if (url !== undefined) return { child, url }
  }
  throw new Error('the demo did not start')
}

/** A byte in the middle of the demo's CAR is another one. */
async function damagedCar() {
  const backups = join(folder, 'backups')
  const name = (await readdir(backups)).find((one) => one.endsWith('.car'))
  const bytes = await readFile(join(backups, name))
  bytes[bytes.length >> 1] ^= 0xff
  const damaged = join(folder, name)
  await writeFile(damaged, bytes)
  return damaged
}

/** A page that follows changes is never idle. */
const settled = (page) => page.waitForTimeout(3000)

const { child, url } = await start()
const browser = await chromium.launch({
  executablePath: flags.chromium,
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
})
try {
  for (const { name, look, view } of SHOTS) {
    const page = await browser.newPage(look)
    await page.goto(`${url}/#/main/${view}`)
    await settled(page)
    await page.screenshot({ path: join(images, `${name}.png`) })
    await page.close()
  }
  const page = await browser.newPage(DESK)
  await page.goto(`${url}/#/main/car`)
  await page
    .locator('input[type=file]')
    .first()
    .setInputFiles(await damagedCar())
  await page.getByText('Damaged').first().waitFor()
  await settled(page)
  await page.screenshot({ path: join(images, 'car.png') })
} finally {
  await browser.close()
  child.kill('SIGTERM')
  await once(child, 'exit')
  await rm(join(folder, '..'), { recursive: true, force: true })
}

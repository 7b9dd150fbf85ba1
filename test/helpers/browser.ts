/**
 * A real Chromium for tests of the page. Whatever it complains about fails the test: errors on the console,
 * exceptions, violations of the page's policy, requests to any other host.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { afterAll, expect, onTestFinished } from 'vitest'

const CHROMIUM = process.env['CAIRN_CHROMIUM'] ?? '/usr/bin/chromium'

export const SIZES = {
  phone: { width: 360, height: 740 },
  desk: { width: 1280, height: 800 },
} as const
export type Size = keyof typeof SIZES

export const SCHEMES = ['light', 'dark'] as const
export type Scheme = (typeof SCHEMES)[number]

let launched: Promise<Browser> | undefined

/** One for each test file, closed at its end. */
function browser(): Promise<Browser> {
  launched ??= chromium.launch({
    executablePath: CHROMIUM,
    args: ['--disable-gpu', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
  })
  return launched
}

afterAll(async () => {
  await (await launched)?.close()
  launched = undefined
})

export interface OpenOptions {
  readonly size?: Size
  readonly scheme?: Scheme
  /** Put into the session's storage before the page starts. */
  readonly token?: string
  /** Complaints that the test is about. */
  readonly allow?: RegExp
}

export interface OpenedPage {
  readonly page: Page
  readonly context: BrowserContext
  /** What the browser complained about so far. */
  readonly complaints: readonly string[]
}

/** Opens an address in a context of its own. When the test ends there must be no complaint. */
export async function openPage(url: string, options: OpenOptions = {}): Promise<OpenedPage> {
  const { size = 'desk', scheme = 'light', token, allow } = options
  const context = await (
    await browser()
  ).newContext({ viewport: SIZES[size], colorScheme: scheme, reducedMotion: 'reduce' })
  const page = await context.newPage()
  const complaints = watch(page, new URL(url), allow)
  if (token !== undefined) {
    const set = `sessionStorage.setItem('cairn.token', ${JSON.stringify(token)})`
    await context.addInitScript(`if (location.protocol !== 'about:') ${set}`)
  }
  onTestFinished(async () => {
    await context.close()
    expect(complaints).toEqual([])
  })
  await page.goto(url)
  return { page, context, complaints }
}

/** Violations of a policy are told on the console as errors. */
function watch(
  page: Page,
  { origin, protocol }: URL,
  allow: RegExp | undefined,
): readonly string[] {
  const complaints: string[] = []
  const note = (text: string): void => {
    if (allow?.test(text) !== true) complaints.push(text)
  }
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) note(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => note(`exception: ${error.message}`))
  page.on('request', (request) => {
    const to = new URL(request.url())
    const own = to.origin === origin || ['data:', 'blob:', 'about:'].includes(to.protocol)
    if (!own && !(protocol === 'file:' && to.protocol === 'file:'))
      note(`request: ${request.url()}`)
  })
  return complaints
}

interface AxeResult {
  readonly violations: readonly {
    readonly id: string
    readonly impact: string | null
    readonly help: string
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
  }[]
}

/** What axe finds that is serious or worse, as lines; the best practices count as well. */
export async function axe(page: Page): Promise<string[]> {
  const path = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
  const source = await readFile(path, 'utf8')
  // In a world of its own, where the page's policy does not forbid it.
  const client = await page.context().newCDPSession(page)
  const { frameTree } = await client.send('Page.getFrameTree')
  const { executionContextId: contextId } = await client.send('Page.createIsolatedWorld', {
    frameId: frameTree.frame.id,
  })
  await client.send('Runtime.evaluate', { expression: source, contextId })
  const { result, exceptionDetails } = await client.send('Runtime.evaluate', {
    expression: `axe.run(document, { resultTypes: ['violations'] }).then(JSON.stringify)`,
    contextId,
    awaitPromise: true,
  })
  await client.detach()
  if (exceptionDetails !== undefined) throw new Error(`axe: ${exceptionDetails.text}`)
  const { violations } = JSON.parse(String(result.value)) as AxeResult
  return violations.flatMap(({ id, impact, help, nodes }) =>
    nodes.map(({ html }) => `${impact ?? ''} ${id}: ${help}: ${html.slice(0, 200)}`),
  )
}

/**
 * Pictures of what is shown, NAME-SIZE-SCHEME.png, of the whole page, in each size and scheme. They are put
 * into `CAIRN_SCREENSHOTS`, and not taken without it. `check` is called each time.
 */
export async function eachLook(
  page: Page,
  name: string,
  check: (look: string) => Promise<void>,
): Promise<void> {
  const folder = process.env['CAIRN_SCREENSHOTS']
  if (folder !== undefined) await mkdir(dirname(join(folder, name)), { recursive: true })
  for (const size of Object.keys(SIZES) as Size[]) {
    await page.setViewportSize(SIZES[size])
    for (const scheme of SCHEMES) {
      await page.emulateMedia({ colorScheme: scheme })
      const look = `${name}-${size}-${scheme}`
      if (folder !== undefined)
        await page.screenshot({ path: join(folder, `${look}.png`), fullPage: true })
      await check(look)
    }
  }
}

/** The page does not have to be scrolled sideways. */
export async function expectFits(page: Page): Promise<void> {
  const wide = await page.evaluate(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  )
  expect(wide).toBeLessThanOrEqual(0)
}

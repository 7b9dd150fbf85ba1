/** A page that has nothing but a file chooser and the reader of CARs, built by Vite and shown by Chromium. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { chromium, type Browser, type Page } from 'playwright-core'
import { build, mergeConfig } from 'vite'
import { platform } from '../../../web/src/car/vite-platform.ts'

const CLIENT = fileURLToPath(new URL('../../../web/src/car/client.ts', import.meta.url))
const CHROMIUM = '/usr/bin/chromium'

const HTML = `<!doctype html><meta charset="utf-8"><title>CARs</title><input type="file" multiple>
<script type="module" src="./main.ts"></script>`
const MAIN = `import { openCar } from ${JSON.stringify(CLIENT)}
Object.assign(globalThis, { openCar })`

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' }
const POLICY = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'"

export interface CarPage {
  readonly page: Page
  /** The folder of the build. */
  readonly folder: string
  /** What must not be: errors, breaches of the policy, requests to elsewhere. */
  readonly complaints: string[]
  readonly close: () => Promise<void>
}

/** `served`: over HTTP, under a strict policy; `file`: from the disk, with the worker in the page. */
export async function openCarPage(how: 'served' | 'file'): Promise<CarPage> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-car-page-'))
  const closers: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const close = async (): Promise<void> => {
    for (const one of closers.toReversed()) await one()
  }
  try {
    const out = await built(folder, how)
    const server = how === 'served' ? await serveFolder(out) : undefined
    if (server !== undefined) closers.push(server.close)
    const browser = await launch()
    closers.push(() => browser.close())
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    const url = server?.url ?? pathToFileURL(join(out, 'index.html')).href
    page.on('request', (request) => {
      const here = request.url().startsWith(server?.url ?? 'file:')
      if (!here && !/^(?:blob|data):/.test(request.url())) complaints.push(request.url())
    })
    await page.goto(url)
    await page.waitForFunction('typeof openCar === "function"')
    return { page, folder: out, complaints, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function built(folder: string, how: 'served' | 'file'): Promise<string> {
  await writeFile(join(folder, 'index.html'), HTML)
  await writeFile(join(folder, 'main.ts'), MAIN)
  const own = {
    configFile: false as const,
    root: folder,
    base: './',
    mode: how === 'file' ? 'viewer' : 'production',
    logLevel: 'error' as const,
    build: { target: 'es2023', modulePreload: { polyfill: false }, reportCompressedSize: false },
  }
  await build(mergeConfig(own, platform))
  const out = join(folder, 'dist')
  if (how === 'file') await joined(out)
  return out
}

/** A page from the disk may load no module from beside it. */
async function joined(out: string): Promise<void> {
  const page = join(out, 'index.html')
  const html = await readFile(page, 'utf8')
  const src = /<script[^>]* src="([^"]+)"[^>]*><\/script>/
  const script = await readFile(join(out, src.exec(html)?.[1] ?? ''), 'utf8')
  const bare = html.replace(src, '')
  await writeFile(
    page,
    `${bare}<script type="module">${script.replaceAll('</script', '<\\/script')}</script>`,
  )
}

async function serveFolder(folder: string): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    const file = path === '/' ? '/index.html' : path
    readFile(join(folder, file)).then(
      (bytes) => {
        const type = TYPES[extname(file)] ?? 'application/octet-stream'
        response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY })
        response.end(bytes)
      },
      // Nobody needs an icon.
      () => response.writeHead(204).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { url: `http://127.0.0.1:${port}/`, close }
}

function launch(): Promise<Browser> {
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath: CHROMIUM, args })
}

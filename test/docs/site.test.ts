/** The site builds, every link of it leads somewhere, and its pages ask nobody else. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { tempDir } from '../helpers/engine.ts'
import { ROOT } from './run-page.ts'

const run = promisify(execFile)

interface Report {
  readonly pages: number
  readonly links: number
  readonly broken: readonly string[]
}

/** In a process of its own, as people do it: the generator changes the one it runs in. */
async function inSite(code: string): Promise<Report> {
  const script = `import { buildSite, followLinks } from '${ROOT}scripts/docs/site.mjs'
    process.stdout.write('\\nREPORT ' + JSON.stringify(${code}) + '\\n')`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    maxBuffer: 16 << 20,
  })
  return JSON.parse(/^REPORT (.*)$/m.exec(stdout)?.[1] ?? '{}') as Report
}

test('the site builds without a broken link', { timeout: 300_000 }, async () => {
  const out = await tempDir()
  const { pages, links, broken } = await inSite(`await buildSite('${ROOT}', '${out}')`)
  expect(broken).toEqual([])
  const decisions = (await readdir(join(ROOT, 'docs/adr'))).filter((name) => /^\d/.test(name))
  expect(pages).toBeGreaterThan(35 + decisions.length)
  expect(links).toBeGreaterThan(2000)
  const html = (await readdir(out, { recursive: true })).filter(
    (name) => name.endsWith('.html') && !name.startsWith('files'),
  )
  expect(html).toHaveLength(pages)
  for (const name of html) {
    const page = await readFile(join(out, name), 'utf8')
    expect([name, page.includes("default-src 'none'")]).toEqual([name, true])
    expect([name, /<script(?![^>]* src=)[^>]*>[^<]/.exec(page)?.[0]]).toEqual([name, undefined])
    const loaded = [...page.matchAll(/<(?:script|img|link|iframe)[^>]* (?:src|href)="([^"]*)"/g)]
    expect(
      loaded.map(([, one]) => one).filter((one) => /^(?:https?:)?\/\//.test(one ?? '')),
    ).toEqual([])
  }
})

test('a link to a page, a file or a heading that is not there is found', async () => {
  const site = await tempDir()
  await mkdir(join(site, 'a'))
  await writeFile(
    join(site, 'index.html'),
    '<h2 id="x"></h2><a href="/a/b.html#y">1</a><a href="#x">2</a>',
  )
  await writeFile(
    join(site, 'a', 'b.html'),
    '<p id="y"></p><a href="/#z">3</a><a href="c.html">4</a><img src="/no.png"><a href="https://x.y/">5</a>',
  )
  const { broken, links, pages } = await inSite(`followLinks('${site}')`)
  expect([pages, links]).toEqual([2, 6])
  expect(broken).toEqual([
    expect.stringContaining('/#z: index.html has no such heading'),
    expect.stringContaining('c.html: there is no such page'),
    expect.stringContaining('/no.png: there is no such page'),
  ])
})

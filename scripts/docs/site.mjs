/** Builds the site, and follows every link in what was built. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build } from 'vitepress'

export async function buildSite(root, outDir = join(root, 'docs', 'site')) {
  const began = performance.now()
  await build(join(root, 'docs'), { outDir, logLevel: 'warn' })
  return { ...followLinks(outDir), milliseconds: performance.now() - began }
}

/**
 * Every link of every page to the site itself, whose page, file and heading must be there.
 * @public its test imports it in a process of its own
 */
export function followLinks(site) {
  const files = new Set(
    readdirSync(site, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(site, join(entry.parentPath, entry.name))),
  )
  const pages = new Map(
    [...files]
      .filter((path) => path.endsWith('.html') && !path.startsWith('files/'))
      .map((path) => [path, readFileSync(join(site, path), 'utf8')]),
  )
  const ids = new Map([...pages].map(([path, html]) => [path, idsOf(html)]))
  let links = 0
  const broken = []
  for (const [path, html] of pages)
    for (const address of addressesIn(html)) {
      links += 1
      const problem = problemOf(address, path, { files, ids })
      if (problem !== undefined) broken.push(`${path}: ${address}: ${problem}`)
    }
  return { pages: pages.size, links, broken }
}

const unescaped = (text) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"')
const idsOf = (html) => new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => unescaped(id)))

/** Links for readers, and all that a browser would load. */
const addressesIn = (html) =>
  [...html.matchAll(/<[a-z][^>]*? (?:href|src)="([^"]*)"/g)].map(([, one]) => unescaped(one))

const LOADED = /^(?:https?:)?\/\//

function problemOf(address, path, { files, ids }) {
  if (LOADED.test(address) || /^(mailto|data):/.test(address)) return undefined
  const url = new URL(address, `http://site/${path}`)
  const name = decodeURIComponent(url.pathname).slice(1)
  const file = [name, `${name}index.html`, `${name}.html`].find((one) => files.has(one))
  if (file === undefined) return 'there is no such page'
  const anchor = decodeURIComponent(url.hash.slice(1))
  if (anchor === '' || ids.get(file)?.has(anchor)) return undefined
  return `${file} has no such heading`
}

/** The site of the documentation: the documents of this repository, as they lie there. */
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { COPIES, documentLinks } from './links.mjs'
import { addressOf, LISTED, SECTIONS } from './pages.mjs'
import { guarded } from './policy.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const decisions = readdirSync(join(root, 'docs/adr'))
  .filter((name) => /^\d{4}-/.test(name))
  .map((name) => `docs/adr/${name}`)
const sources = new Set([...LISTED, ...decisions])
const copies = new Set()

const sidebar = SECTIONS.map(([text, pages]) => ({
  text,
  items: pages.map(([, address, title]) => ({
    text: title,
    link: `/${address.replace(/(^|\/)index$/, '$1')}`,
  })),
}))

export default defineConfig({
  srcDir: '..',
  outDir: 'site',
  base: process.env.CAIRN_DOCS_BASE ?? '/',
  // Everything else that ends in .md lies in these places.
  srcExclude: ['!(docs|clients|examples|*.md)/**', 'docs/site/**'],
  rewrites: (source) => (sources.has(source) ? `${addressOf(source)}.md` : source),
  lang: 'en',
  title: 'Cairn',
  description: 'Content-addressed snapshots of keyed entities, with backups that prove themselves',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  metaChunk: true,
  // The default way of switching puts a style element into the page.
  appearance: { disableTransition: false },
  vite: { publicDir: 'docs/.vitepress/public', build: { chunkSizeWarningLimit: 2000 } },
  markdown: {
    languageAlias: { cron: 'sh' },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    config: (md) => md.use(documentLinks, { root, copied: (path) => copies.add(path) }),
  },
  transformPageData: ({ relativePath, frontmatter }) =>
    relativePath === 'index.md'
      ? {
          frontmatter: {
            ...frontmatter,
            sidebar: false,
            aside: false,
            outline: false,
            pageClass: 'landing',
          },
        }
      : undefined,
  transformHtml: (html, _, { siteConfig }) =>
    guarded(html, {
      outDir: siteConfig.outDir,
      assetsDir: siteConfig.assetsDir,
      base: siteConfig.site.base,
    }),
  buildEnd: ({ outDir }) => {
    for (const path of copies) {
      const to = join(outDir, COPIES, path)
      mkdirSync(dirname(to), { recursive: true })
      cpSync(join(root, path), to)
    }
  },
  themeConfig: {
    nav: [
      { text: 'Tutorials', link: '/tutorials/archive', activeMatch: '/tutorials/' },
      { text: 'How to', link: '/guides/offsite', activeMatch: '/guides/' },
      { text: 'Reference', link: '/reference/cli', activeMatch: '/reference/' },
      { text: 'Explained', link: '/explained/canonical-tree', activeMatch: '/explained/' },
    ],
    sidebar,
    outline: { level: [2, 3] },
    search: { provider: 'local' },
    externalLinkIcon: true,
    docFooter: { prev: 'Before', next: 'Next' },
  },
})

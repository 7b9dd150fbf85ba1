/**
 * Links between documents are written for reading the files as they lie in the repository. Here they get
 * the addresses of the site: a document its page, a folder the page that lists it, any other file a copy of it.
 */
import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { addressOf, titleOf } from './pages.mjs'

const FOLDERS = {
  'docs/adr': 'decisions/index.html',
  'scripts/examples': 'running/examples.html',
  'scripts/examples/systemd': 'running/examples.html#systemd',
  'scripts/examples/prometheus': 'running/examples.html#prometheus',
  'scripts/examples/compose': 'running/examples.html#compose',
  'scripts/examples/grafana': 'running/examples.html#grafana',
}

/** Where a link of the document `source` leads on the site; undefined when it leads nowhere. */
function siteLink(root, source, href) {
  const [, path, anchor] = /^([^#]*)(#.*)?$/.exec(href)
  if (path === '') return href
  const target = targetOf(root, source, path)
  if (target.startsWith('..') || !existsSync(join(root, target))) return undefined
  const page = addressOf(target)
  if (page !== undefined) return `/${page.replace(/(^|\/)index$/, '$1')}${anchor ?? ''}`
  if (statSync(join(root, target)).isDirectory())
    return FOLDERS[target] === undefined ? undefined : `/${FOLDERS[target]}`
  return `/${COPIES}/${target}`
}

const targetOf = (root, source, path) =>
  relative(root, join(root, dirname(source), decodeURI(path))).replace(/\/$/, '')

/** The folder of the site that has copies of files which are no documents. */
export const COPIES = 'files'

const OUTSIDE = /^[a-z][a-z+.-]*:/i

/** Teaches markdown-it; calls `copied` with each file that a document links to. */
export function documentLinks(md, { root, copied }) {
  md.core.ruler.push('document_links', ({ tokens, env }) => {
    const source = relative(root, env.realPath ?? env.path)
    for (const { children } of tokens)
      for (const [n, token] of (children ?? []).entries()) {
        const name = { link_open: 'href', image: 'src' }[token.type]
        const href = name === undefined ? undefined : token.attrGet(name)
        if (!href || OUTSIDE.test(href)) continue
        const link = siteLink(root, source, href)
        if (link === undefined) throw new Error(`${source}: the link ${href} leads nowhere`)
        if (link.startsWith(`/${COPIES}/`)) {
          copied(link.slice(COPIES.length + 2))
          token.attrSet('target', '_blank')
        }
        // Images are bundled by the path that is in the file.
        if (token.type !== 'link_open') continue
        token.attrSet(name, link)
        nameByTitle(children[n + 1], titleOf(targetOf(root, source, href.replace(/#.*/, ''))))
      }
  })
}

/** A page that is called by its file's name in the repository is called by its own here. */
function nameByTitle(text, title) {
  if (title !== undefined && /^[\w/.-]+\.md$/.test(text?.content ?? '')) text.content = title
}

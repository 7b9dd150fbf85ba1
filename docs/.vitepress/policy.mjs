/** What a page of the site may do: run its own scripts, and ask nobody else. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Colours of code are in `style` attributes, which the generator cannot do without. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const INLINE = /<script(?: id="[\w-]+")?>([^]*?)<\/script>/g
const META = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">
    <meta name="referrer" content="no-referrer">`

/** A page with its inline scripts in files, so that the policy needs no exception for them. */
export function guarded(html, { outDir, assetsDir, base }) {
  return html
    .replace('<meta charset="utf-8">', `<meta charset="utf-8">\n    ${META}`)
    .replaceAll(INLINE, (_, code) => {
      const hash = createHash('sha256').update(code).digest('hex').slice(0, 12)
      const file = `${assetsDir}/inline.${hash}.js`
      mkdirSync(dirname(join(outDir, file)), { recursive: true })
      writeFileSync(join(outDir, file), code)
      return `<script src="${base}${file}"></script>`
    })
}

/** Steps of the build: compressing once instead of at each start, and putting everything into one file. */
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'

/** Below it, compressing saves nothing. */
const COMPRESS_FROM = 512

/** Puts NAME.br and NAME.gz beside each file of the build. */
export function precompress(): Plugin {
  let folder = ''
  return {
    name: 'cairn:precompress',
    apply: 'build',
    configResolved: ({ build }) => {
      folder = build.outDir
    },
    closeBundle: async () => {
      for (const file of await readdir(folder, { recursive: true, withFileTypes: true })) {
        if (!file.isFile() || /\.(?:br|gz)$/.test(file.name)) continue
        const path = join(file.parentPath, file.name)
        const bytes = await readFile(path)
        if (bytes.length < COMPRESS_FROM) continue
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11 }
        await writeFile(`${path}.br`, brotliCompressSync(bytes, { params }))
        await writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }))
      }
    },
  }
}

/** Everything in the HTML file itself, under a policy that names exactly what is in it. */
export function singleFile(name: string): Plugin {
  return {
    name: 'cairn:single-file',
    apply: 'build',
    enforce: 'post',
    generateBundle: (_, bundle) => {
      const texts = new Map<string, string>()
      for (const [file, part] of Object.entries(bundle)) {
        if (part.type === 'chunk') texts.set(file, part.code)
        else texts.set(file, Buffer.from(part.source).toString())
        if (!file.endsWith('.html')) delete bundle[file]
      }
      const [page] = Object.entries(bundle)
      if (page?.[1].type !== 'asset') throw new Error('the viewer has no page')
      page[1].fileName = name
      page[1].source = inlined(texts.get(page[0]) ?? '', texts)
    },
  }
}

function inlined(html: string, texts: ReadonlyMap<string, string>): string {
  const scripts: string[] = []
  const styles: string[] = []
  const take = (href: string): string => texts.get(href.replace(/^\.\//, '')) ?? fail(href)
  const bare = html
    .replace(/\s*<script[^>]*\ssrc="([^"]+)"[^>]*><\/script>/g, (_, href: string) => {
      scripts.push(take(href).replaceAll('</script', '<\\/script').trim())
      return ''
    })
    .replace(/\s*<link rel="stylesheet"[^>]*\shref="([^"]+)"[^>]*>/g, (_, href: string) => {
      styles.push(take(href).trim())
      return ''
    })
    .replace(/(<link rel="icon"[^>]*\shref=")([^"]+)"/, (_, start: string, href: string) => {
      const icon = Buffer.from(take(href)).toString('base64')
      return `${start}data:image/svg+xml;base64,${icon}"`
    })
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.map(hashOf).join(' ')}`,
    `style-src ${styles.map(hashOf).join(' ')}`,
    'img-src data: blob:',
    'worker-src blob: data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const head = [
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    ...styles.map((text) => `<style>${text}</style>`),
  ].join('\n    ')
  const body = scripts.map((text) => `<script type="module">${text}</script>`).join('\n    ')
  return bare
    .replace(/(<meta charset="[^"]*"[^>]*>)/, (charset) => `${charset}\n    ${head}`)
    .replace('</body>', () => `  ${body}\n  </body>`)
}

const hashOf = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`

function fail(href: string): never {
  throw new Error(`the build has no ${href}`)
}

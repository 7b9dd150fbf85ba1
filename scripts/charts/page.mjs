/** Parts of a document that a script writes, between markers. */
import { readFileSync, writeFileSync } from 'node:fs'

/** Replaces what stands between `<!-- NAME: … -->` and `<!-- /NAME -->` in a file. */
export function writeBetween(path, name, text) {
  const page = readFileSync(path, 'utf8')
  const found = new RegExp(`(<!-- ${name}: [^>]* -->\n)[^]*?(<!-- /${name} -->)`).exec(page)
  if (found === null) throw new Error(`${path} has no place marked "${name}".`)
  const [all, begin, end] = found
  writeFileSync(
    path,
    page.replace(all, () => `${begin}\n${text.trim()}\n\n${end}`),
  )
}

const tableRow = (cells) => `| ${cells.join(' | ')} |`

export function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map(tableRow).join('\n')
}

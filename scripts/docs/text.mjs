/** Small parts that all generated pages are made of. */

const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')

export function table(head, rows) {
  const line = (cells) => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

export const code = (text) => `\`${text}\``

/**
 * Replaces what stands between `<!-- made: NAME -->` and `<!-- /made -->`, for each name that a page has; `make`
 * gives the text for a name, and sees what stands before the mark in its section.
 */
export function fillMarks(page, make) {
  const mark = /(<!-- made: ([^>]+) -->\n)[^]*?(<!-- \/made -->)/g
  return page.replaceAll(mark, (_, begin, name, end, at) => {
    const section = page.slice(page.lastIndexOf('\n#', at) + 1, at)
    const text = make(name, section)
    return `${begin}\n${text === '' ? '' : `${text}\n\n`}${end}`
  })
}

export const marksOf = (page) =>
  [...page.matchAll(/<!-- made: ([^>]+) -->/g)].map(([, name]) => name)

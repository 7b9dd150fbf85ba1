/** The Markdown of these documents as man pages: paragraphs, lists, tables and code, and nothing else. */

/** What stands in a line; a line that begins with a dot or a quote would be a command. */
export function plain(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/[^\t\n -~]/gu, characterName)
    .replaceAll(/^(?=[.'])/gm, '\\&')
}

/** Beyond ASCII; the device decides how it can be shown. */
function characterName(character) {
  const hex = character.codePointAt(0).toString(16).toUpperCase()
  return `\\[u${hex.padStart(4, '0')}]`
}

const bold = (text) => `\\fB${plain(text)}\\fR`

/** Inline Markdown; what stands in backquotes is kept as it is. */
export function inline(text) {
  return text
    .replaceAll(/\*\*(`[^`]+`)\*\*/g, '$1')
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .split(/(`[^`]+`)/)
    .map((part) => (part.startsWith('`') ? bold(part.slice(1, -1)) : words(part)))
    .join('')
    .replaceAll(/^(?=[.'])/gm, '\\&')
}

const words = (text) =>
  plain(text)
    .replaceAll(/\*\*([^*]+)\*\*/g, '\\fB$1\\fR')
    .replaceAll(/(?<!\w)_([^_]+)_(?!\w)/g, '\\fI$1\\fR')

export const literal = (text) => ['.PP', '.RS 4', '.nf', plain(text), '.fi', '.RE'].join('\n')

export const entry = (term, text) => ['.TP', term, text].join('\n')

export const section = (name, text) => `.SH ${name}\n${text}`

/** Blocks of Markdown, each from its first line on. */
export function roff(markdown) {
  const lines = markdown.replaceAll(/<!--[^]*?-->/g, '').split('\n')
  const made = []
  for (let at = 0; at < lines.length;) {
    const [text, next] = block(lines, at)
    if (text !== '') made.push(text)
    at = next
  }
  return made.join('\n')
}

const LIST = /^(?:-|\d+\.) /

function block(lines, at) {
  const line = lines[at].trim()
  if (line === '') return ['', at + 1]
  if (line.startsWith('```')) {
    const end = lines.findIndex((one, n) => n > at && one.trim().startsWith('```'))
    return [literal(lines.slice(at + 1, end).join('\n')), end + 1]
  }
  if (line.startsWith('#')) return [`.SS ${inline(line.replace(/^#+ /, ''))}`, at + 1]
  const end = endOf(lines, at)
  if (line.startsWith('|')) return [rows(lines.slice(at, end)), end]
  const text = lines.slice(at, end).map((one) => one.trim())
  if (!LIST.test(line)) return [`.PP\n${inline(text.join('\n'))}`, end]
  const [mark] = LIST.exec(line)
  const shown = mark === '- ' ? '\\(bu' : plain(mark.trim())
  const item = text.join('\n').slice(mark.length)
  return [`.IP ${shown} 3\n${inline(item)}`, end]
}

/** Where a paragraph, an item of a list or a table ends. */
function endOf(lines, at) {
  const end = lines.findIndex(
    (one, n) => n > at && (one.trim() === '' || LIST.test(one) || one.trim().startsWith('```')),
  )
  return end < 0 ? lines.length : end
}

/** A table as a list: the first column, and the others under their heads where there are several. */
function rows(lines) {
  const cells = lines.map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  )
  const [head, , ...body] = cells
  return body
    .map(([first, ...rest]) => {
      const named = rest
        .map((text, n) => [head[n + 1], text])
        .filter(([, text]) => text !== '')
        .map(([name, text]) =>
          rest.length === 1 ? inline(text) : `${inline(name)}: ${inline(text)}`,
        )
      return entry(inline(first), named.join('\n.br\n'))
    })
    .join('\n')
}

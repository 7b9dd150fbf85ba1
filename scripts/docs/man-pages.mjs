/** Man pages: options and examples from the definitions of the commands, the rest from docs/CLI.md. */
import { synopsis, withTools } from './commands.mjs'
import { entry, inline, literal, plain, roff, section } from './roff.mjs'

/** File name -> text, for the program, each command and each of its tools. */
export function manPages({ program, page, settings, version, date }) {
  const all = program.commands.flatMap(withTools)
  const pages = new Map([['cairn.1', mainPage({ program, page, settings, version, date })]])
  for (const command of all)
    pages.set(`${nameOf(command)}.1`, commandPage(command, { page, version, date }))
  return pages
}

const nameOf = ({ path }) => ['cairn', ...path].join('-')

function begin(name, about, { version, date }) {
  const title = `.TH ${name.toUpperCase()} 1 "${date}" "cairn ${version}" "Cairn"`
  return [title, '.ad l', section('NAME', `${plain(name)} \\- ${inline(about)}`)]
}

const options = (list) =>
  list.map(({ flags, what }) => entry(`\\fB${plain(flags)}\\fR`, inline(what)))

function mainPage({ program, page, settings, version, date }) {
  const commands = program.commands.map((command) =>
    entry(`\\fB${plain(nameOf(command))}\\fR(1)`, inline(command.summary)),
  )
  const variables = settings.map(({ env, what }) => entry(`\\fB${env}\\fR`, inline(what)))
  return [
    ...begin('cairn', program.summary.replace(/\.$/, ''), { version, date }),
    section('SYNOPSIS', '.B cairn\nCOMMAND [options]'),
    section(
      'DESCRIPTION',
      roff(chapter(page, 'Rules that hold everywhere', ['### Options of every', '### Looking'])),
    ),
    section('COMMANDS', commands.join('\n')),
    section('OPTIONS', options(program.options).join('\n')),
    section('EXIT STATUS', roff(chapter(page, 'Exit codes', ['\n### ']))),
    section('ENVIRONMENT', variables.join('\n')),
    section('FILES', files()),
    section('SEE ALSO', 'The documentation: docs/README.md of the package.'),
    '',
  ].join('\n')
}

const files = () =>
  [
    entry('.I ./.cairn', 'What Cairn keeps, unless settings name another place.'),
    entry('.I ./cairn.config.json', 'Settings.'),
    entry('.I ./.env', 'Settings, as variables of the environment.'),
  ].join('\n')

function commandPage(command, { page, version, date }) {
  const { path, alias, summary, arguments: args, examples, tools } = command
  const told = args
    .filter(({ what }) => what)
    .map(({ name, what }) => entry(`\\fI${plain(name)}\\fR`, inline(what)))
  const prose = roff(proseOf(page, path))
  const parts = [
    ...begin(nameOf(command), summary, { version, date }),
    section('SYNOPSIS', `.nf\n${[...synopses(command, page)].map(plain).join('\n')}\n.fi`),
    section('DESCRIPTION', prose === '' ? inline(`${sentence(summary)}.`) : prose),
  ]
  if (alias) parts.push(`.PP\nAlso called \\fBcairn ${plain(alias)}\\fR.`)
  if (tools.length > 0)
    parts.push(
      section(
        'TOOLS',
        tools
          .map((one) => entry(`\\fB${plain(nameOf(one))}\\fR(1)`, inline(one.summary)))
          .join('\n'),
      ),
    )
  parts.push(
    section(
      'OPTIONS',
      [
        ...told,
        ...options(command.options),
        '.PP\nThe options of every command are in \\fBcairn\\fR(1).',
      ].join('\n'),
    ),
  )
  if (examples.length > 0)
    parts.push(
      section(
        'EXAMPLES',
        examples
          .map(({ line, what }) => `.PP\n${inline(sentence(what))}:\n${literal(line)}`)
          .join('\n'),
      ),
    )
  return [
    ...parts,
    section('EXIT STATUS', '0 on success; the others are in \\fBcairn\\fR(1).'),
    section('SEE ALSO', seeAlso(path)),
    '',
  ].join('\n')
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`
const seeAlso = (path) =>
  path.length === 1
    ? '\\fBcairn\\fR(1)'
    : `\\fBcairn\\fR(1), \\fB${plain(`cairn-${path[0]}`)}\\fR(1)`

/** What is written by hand about a command, without what is made, and without its synopsis. */
function proseOf(page, path) {
  const text = bodyOf(page, path)
    .replaceAll(/<!-- made: [^>]* -->[^]*?<!-- \/made -->/g, '')
    .replace(FENCED, '')
    .replace(INLINE, '')
  return sentence(text.trimStart())
}

const INLINE = /^\s*`cairn [^`]*`(?:(?:[,;\s]|also|and)*`(?:cairn|bin\/)[^`]*`)*[.:]?\s*/
const FENCED = /^\s*```\n(?:cairn [^\n]*\n|  [^\n]*\n)+```\n/

const bodyOf = (page, path) => sectionOf(page, path).replace(/^#+ .*\n/, '')

/** The synopses that are written by hand, else the one that the definition gives. */
function synopses(command, page) {
  const body = bodyOf(page, command.path)
  const [fenced] = FENCED.exec(body) ?? []
  if (fenced !== undefined) return fenced.split('\n').filter((line) => /^(cairn| )/.test(line))
  const [text = ''] = INLINE.exec(body) ?? []
  const lines = [...text.matchAll(/`(cairn [^`]*)`/g)].map(([, one]) => one.replaceAll('\n', ' '))
  return lines.length === 0 ? [synopsis(command)] : lines
}

function sectionOf(page, path) {
  const heading = new RegExp(`^(#{3,4}) (?:[a-z ,-]*, )?${path.join(' ')}(?:,.*)?$`, 'm')
  const found = heading.exec(page)
  if (found === null) return ''
  const from = found.index + found[0].length
  const next = found[1] === '####' ? /^#{2,4} /m : /^(?:#{2,3} |#### (?:car|token) )/m
  const length = page.slice(from).search(next)
  return page.slice(found.index, length < 0 ? undefined : from + length)
}

/** A chapter's text up to the first of `ends`. */
function chapter(page, title, ends) {
  const from = page.indexOf(`## ${title}\n`) + title.length + 4
  const stops = ends.map((one) => page.indexOf(one, from)).filter((at) => at >= 0)
  return page.slice(from, Math.min(...stops))
}

/** Pages that list what lies in folders: the decisions, and the files to copy. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fillMarks, marksOf } from './text.mjs'

export function decisionsPage(page, folder) {
  const names = readdirSync(folder).filter((name) => /^\d{4}-.*\.md$/.test(name))
  const lines = names.toSorted().map((name) => {
    const [, number, title] = /^# (\d+)\. (.*)/.exec(readFileSync(join(folder, name), 'utf8'))
    return `${number}. [${title}](${name})`
  })
  return fillMarks(page, () => lines.join('\n'))
}

/** A mark names a folder below that of the examples, or `.` for the files beside the folders. */
export function examplesPage(page, folder) {
  const folders = readdirSync(folder, { withFileTypes: true }).filter((one) => one.isDirectory())
  const missing = folders.map(({ name }) => name).filter((name) => !marksOf(page).includes(name))
  if (missing.length > 0) throw new Error(`docs/EXAMPLES.md has no place for ${missing.join(', ')}`)
  return fillMarks(page, (name) =>
    filesIn(join(folder, name), name !== '.')
      .map((path) => {
        const file = join(name === '.' ? '' : name, path)
        const about = descriptionOf(readFileSync(join(folder, file), 'utf8'))
        return `- [${path}](../scripts/examples/${file})${about === '' ? '' : `: ${about}`}`
      })
      .join('\n'),
  )
}

function filesIn(folder, recursive) {
  return readdirSync(folder, { withFileTypes: true, recursive })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted()
}

/** A unit's own description, a dashboard's title, or the first sentence of the comment at the top. */
function descriptionOf(text) {
  const unit = /^Description=(.*)$/m.exec(text)?.[1]
  if (unit !== undefined) return `${unit.replace(/^Cairn: /, '')}.`.replace(/\?\.$/, '?')
  if (text.startsWith('{')) return `${JSON.parse(text).title}.`
  const comment = /^(?:#!.*\n)?((?:#.*\n)+)/.exec(text)?.[1] ?? ''
  const words = comment
    .replaceAll(/^# ?/gm, '')
    .split(/\n\s*\n/)[0]
    .replaceAll('\n', ' ')
    .trim()
  return /^.*?[.:](?= |$)/.exec(words)?.[0].replace(/:$/, '.') ?? ''
}

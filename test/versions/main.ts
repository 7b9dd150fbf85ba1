/** Adds the fixture of today's formats to fixtures/versions: `node scripts/versions.mjs [--name format-2]`. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fixtureNames, MANIFEST, writeFiles } from './fixture.ts'
import { OPERATIONS, outcomeOf } from './operations.ts'
import { expectedEntities } from './recipe.ts'

const { values: flags } = parseArgs({
  options: { folder: { type: 'string', default: '' }, name: { type: 'string' } },
})
await mkdir(flags.folder, { recursive: true })
const names = await fixtureNames(flags.folder)
const name = flags.name ?? `format-${names.length + 1}`
if (!/^format-\d+$/.test(name)) throw new Error('usage: versions [--name format-N]')
if (names.includes(name))
  throw new Error(
    `${name} is there: a fixture never changes. Without --name the next one is added.`,
  )
const fixture = join(flags.folder, name)
try {
  await writeFiles(fixture)
  const answers: Record<string, unknown> = {}
  for (const [operation, run] of Object.entries(OPERATIONS)) {
    const outcome = await outcomeOf(run(fixture))
    if ('refused' in outcome) throw new Error(`${operation}: ${outcome.message}`)
    answers[operation] = outcome.read
  }
  const manifest = { format: name, entities: expectedEntities(), answers }
  await writeFile(join(fixture, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`)
  process.stdout.write(`${fixture}: ${Object.keys(answers).length} answers\n`)
} catch (error) {
  await rm(fixture, { recursive: true, force: true })
  throw error
}

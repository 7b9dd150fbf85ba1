/** The pages about live state: what they tell people to type, run as it stands. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { readPage, ROOT, runPage } from './run-page.ts'

const library = async (): Promise<string> => JSON.stringify(join(await builtDist(), 'index.js'))

test('docs/guides/live-state.md', { timeout: 300_000 }, async () => {
  const index = await library()
  const { stdout } = await runPage('docs/guides/live-state.md', {
    here: (code) => code.replace("'cairn-store'", index),
  })
  expect(stdout).toContain('json/cache_players_')
})

/** A program that has run. */
const before = (index: string): string => `
cat > before.mjs <<'EOF'
import { openSession } from ${index}
const session = await openSession('./data')
await (await session.map('players')).set('ada', { gold: 1 })
await session.initialize()
await session.backups.create()
await (await session.map('players')).set('ada', { gold: 2 })
await session.close()
EOF
node before.mjs >"$RUN/before"`

test('docs/TROUBLESHOOTING.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/TROUBLESHOOTING.md', { before: before(await library()) })
  for (const said of ['session: active', 'whole: ', 'passed: '])
    expect({ said, is: stdout.includes(said) ? 'there' : stdout }).toEqual({ said, is: 'there' })
})

test('every check that the page names is one that the doctor makes', async () => {
  const folder = join(ROOT, 'src', 'cli', 'doctor')
  const names = await readdir(folder)
  const sources = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  const page = await readPage('docs/TROUBLESHOOTING.md')
  const rows = [...page.matchAll(/^\| \[.*?\| (.*?) *\|$/gm)].map(([, checks = '']) => checks)
  expect(rows).toHaveLength(10)
  for (const check of rows.flatMap((row) => row.match(/(?<=`)[^`,]+(?=`)/g) ?? [])) {
    const isMade = sources.some((text) => text.includes(`'${check}'`))
    expect([check, isMade]).toEqual([check, true])
  }
})

/** The real service under load, in counts; `npm run load` is the long run, with clocks. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { tempDir } from '../helpers/engine.ts'

const run = promisify(execFile)

interface Row {
  readonly name: string
  readonly value: number
  readonly details: Readonly<Record<string, number | string>>
}

async function load(...args: string[]): Promise<Row[]> {
  const out = await tempDir()
  const library = join(await builtDist(), 'index.js')
  const small = ['--entities', '2000', '--clients', '16', '--batch', '20']
  const where = ['--library', library, '--out', out]
  await run(process.execPath, ['scripts/load.mjs', ...where, ...small, ...args])
  const { rows } = JSON.parse(await readFile(join(out, 'service.json'), 'utf8')) as { rows: Row[] }
  return rows
}

test('what 16 clients were told is all there after SIGKILL, twice', async () => {
  const [row] = await load('--only', 'kills', '--kills', '2', '--kill-after', '400')
  expect(row?.value).toBe(0)
  // Every client was in the midst of a request, or about to ask.
  expect(row?.details).toMatchObject({ kills: 2, 'requests cut': 32 })
  expect(row?.details['acknowledged']).toBeGreaterThan(2)
}, 60_000)

test('the script behind the table of docs/BENCHMARKS.md measures all of it', async () => {
  const flags = ['--only', 'appends,pages,memory,builds', '--seconds', '0.3', '--alternations', '1']
  const rows = await load(...flags, '--rate', '200')
  expect(rows.map(({ name }) => name.replace(/[,;].*/, ''))).toEqual([
    'appends from 16 clients',
    'appends from 16 clients',
    'pages of 10 at any offset',
    'pages of 100 at any offset',
    'memory of the service (RssAnon)',
    'p99 of appends during builds',
    'p99 of appends during builds',
    'p99 of appends during builds',
    'memory with such a dataset beside it',
  ])
  for (const { name, value } of rows.slice(0, 4)) expect(value, name).toBeGreaterThan(0)
}, 60_000)

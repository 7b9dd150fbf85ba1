/** The scripts behind docs/BENCHMARKS.md: they run, at the smallest size, and their laws are recognised. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'

const run = promisify(execFile)

interface Fit {
  readonly law: string
  readonly slope: number
  readonly at: (n: number) => number
}

interface Cell {
  readonly engine: string
  readonly figure: string
  readonly values: readonly (number | null)[]
}

/** Of one way, and one share that changed. */
interface Saves {
  readonly way: string
  readonly share: number
  readonly rounds: readonly { readonly bytes: number }[]
}

async function outputOf(script: string, ...args: string[]): Promise<string> {
  const out = await mkdtemp(join(tmpdir(), 'cairn-bench-'))
  onTestFinished(() => rm(out, { recursive: true, force: true }))
  const library = join(await builtDist(), 'index.js')
  await run(process.execPath, [script, '--library', library, '--out', out, ...args])
  return out
}

const isDrawn = (svg: string): boolean =>
  svg.startsWith('<svg') && svg.includes('<polyline') && !/NaN|undefined|Infinity/.test(svg)

test('engines are set side by side in a table and a picture', async () => {
  const flags = [
    '--engines',
    'cairn,json',
    '--sizes',
    '1000',
    '--rounds',
    '1',
    '--append-ms',
    '80',
    '--saves',
    '2',
  ]
  const out = await outputOf('scripts/peers.mjs', ...flags)
  const { cells } = JSON.parse(await readFile(join(out, 'peers.json'), 'utf8')) as { cells: Cell[] }
  expect(cells.every(({ values }) => values.every((value) => (value ?? 0) > 0))).toBe(true)
  expect(cells.filter(({ engine }) => engine === 'json').map(({ figure }) => figure)).toEqual([
    'save',
  ])
  expect(cells.map(({ figure }) => figure)).toContain('restore')
  const text = await readFile(join(out, 'peers.md'), 'utf8')
  expect(text).toMatch(/^\| save of 10,000 objects.*\| [\d.]+ \| [\d.]+; \*\*x[\d.]+\*\* \|$/m)
  expect(isDrawn(await readFile(join(out, 'peers.svg'), 'utf8'))).toBe(true)
})

test('growth is measured and drawn', async () => {
  const out = await outputOf('scripts/growth.mjs', '--max', '1000', '--rounds', '1')
  const text = await readFile(join(out, 'growth.md'), 'utf8')
  expect(text).toContain('| bulk load, ms |')
  expect(text).not.toMatch(/NaN|undefined|Infinity/)
  expect(isDrawn(await readFile(join(out, 'growth.svg'), 'utf8'))).toBe(true)
})

test('what saving costs is measured, set beside files, and drawn', async () => {
  const flags = ['--ways', 'source,map,json', '--sizes', '200', '--rounds', '1']
  const short = ['--objects', '200', '--seconds', '1', '--saves', '2']
  const out = await outputOf('scripts/live.mjs', ...flags, ...short)
  const { cells } = JSON.parse(await readFile(join(out, 'live.json'), 'utf8')) as { cells: Saves[] }
  const bytesOf = (way: string, share: number): readonly number[] =>
    cells
      .filter((cell) => cell.way === way && cell.share === share)
      .flatMap(({ rounds }) => rounds.map(({ bytes }) => bytes))
  // Nothing new is nothing written, to a store; a file is written whole.
  expect(Math.max(...bytesOf('source', 0), ...bytesOf('map', 0))).toBeLessThan(1_000)
  expect(Math.min(...bytesOf('source', 0.01), ...bytesOf('map', 0.01))).toBeGreaterThan(10_000)
  expect(Math.min(...bytesOf('json', 0))).toBeGreaterThan(200 * 400)
  const text = await readFile(join(out, 'live.md'), 'utf8')
  expect(text).toContain('| idle, 200 objects, attached source |')
  expect(text).not.toMatch(/NaN|undefined|Infinity/)
  expect(isDrawn(await readFile(join(out, 'live.svg'), 'utf8'))).toBe(true)
})

test('wanted figures of saving are met or missed', async () => {
  const { href } = new URL('../../scripts/live/goals.mjs', import.meta.url)
  const { goalRows } = (await import(href)) as { goalRows: (results: unknown) => string[][] }
  const rounds = [10, 49, 300].map((ms) => ({ ms, p99: ms / 2 }))
  const save = { way: 'map', size: 10_000, share: 0.01, rounds }
  const used = (mb: number): object => ({ rounds: [{ usedMb: mb, anonymousMb: 2 * mb }] })
  const ours = { way: 'map', size: 10_000, share: 0.01 }
  const rows = goalRows({
    cells: [save, { ...save, way: 'json' }, { ...save, size: 100 }],
    idle: [{ ...ours, percent: 1.2, seconds: 20 }],
    memory: [used(10), used(20), { ...ours, ...used(30.04) }],
  })
  expect(rows.map(([, value, goal, verdict]) => [value, goal, verdict])).toEqual([
    ['49 ms', 'under 50 ms', 'met'],
    ['24.5 ms', 'under 20 ms', 'missed'],
    ['1.2% of a core', 'under 1% of a core', 'missed'],
    ['10 MB', 'under 10 MB', 'met'],
  ])
})

test('a law is recognised by its points, noise and all', async () => {
  const { href } = new URL('../../scripts/growth/fit.mjs', import.meta.url)
  const { fitGrowth } = (await import(href)) as { fitGrowth: (points: number[][]) => Fit }
  const sizes = Array.from({ length: 9 }, (_, i) => Math.round(1000 * 10 ** (i / 2)))
  const noisy = (of: (n: number) => number): number[][] =>
    sizes.map((n, i) => [n, of(n) * (1 + 0.05 * Math.sin(i * 7))])
  const linear = fitGrowth(noisy((n) => 20 + n / 100))
  expect(linear.law).toBe('n')
  expect(linear.slope).toBeCloseTo(1, 1)
  expect(linear.at(1e9) / 1e7).toBeCloseTo(1, 1)
  expect(fitGrowth(noisy(() => 40)).law).toBe('1')
  expect(fitGrowth(noisy((n) => 30 + Math.min(n, 100_000) / 1000)).law).toBe('n up to 100k')
  const steps = fitGrowth(noisy((n) => (n > 1_000_000 ? 700 : 4)))
  expect(steps.law).toBe('1, another above 1M')
  expect(fitGrowth(noisy((n) => n * Math.log2(n))).law).toMatch(/^n( log n)?$/)
})

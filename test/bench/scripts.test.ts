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

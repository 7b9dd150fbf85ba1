/**
 * All inputs that are kept, and twenty seconds of new ones; FUZZ_SEED repeats those, FUZZ_TARGET and
 * FUZZ_SECONDS bound them.
 */
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { tryInput, type Finding } from './bounds.ts'
import { FOUND, KEPT, foundOf, startOf } from './corpus.ts'
import { demand, type Target } from './target.ts'
import { TARGETS } from './targets.ts'

const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 20)

test.each(TARGETS)('$name: every input that is kept does what it should', async (target) => {
  const findings: Finding[] = []
  for (const input of startOf(target)) {
    const finding = await tryInput(target, input)
    if (finding !== undefined) findings.push(finding)
  }
  expect(
    findings.map(({ message, input }) => `${message} ${Buffer.from(input).toString('hex')}`),
  ).toEqual([])
})

test('every kept input belongs to a target', () => {
  const names = TARGETS.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(readdirSync(KEPT).filter((one) => one !== 'found' && !names.includes(one))).toEqual([])
  const found = TARGETS.reduce((count, target) => count + foundOf(target).length, 0)
  expect(readdirSync(FOUND).length).toBe(found)
})

test('what breaks a promise, or takes too long or too much, is a finding', async () => {
  const target = (run: Target['run']): Target => ({
    name: 'x',
    covers: [],
    kind: 'bytes',
    seeds: () => [],
    mostMs: 20,
    run,
  })
  const kept: Uint8Array[] = []
  const bad: Record<string, Target['run']> = {
    promise: () => demand(false, 'never'),
    slow: () => {
      for (const until = performance.now() + 40; performance.now() < until;);
    },
    memory: () => void kept.push(new Uint8Array(80 << 20)),
  }
  // Let go of at once, it was taken all the same.
  const brief = target(() => demand(new Uint8Array(80 << 20).length > 0, 'never'))
  expect(await tryInput(brief, Uint8Array.of(1))).toMatchObject({ kind: 'memory' })
  for (const [kind, run] of Object.entries(bad))
    expect(await tryInput(target(run), Uint8Array.of(1))).toMatchObject({ kind })
  expect(
    await tryInput(
      target(() => {}),
      Uint8Array.of(1),
    ),
  ).toBeUndefined()
})

test(`${SECONDS} seconds of new inputs find nothing`, async () => {
  const found = await mkdtemp(join(tmpdir(), 'cairn-fuzz-found-'))
  onTestFinished(() => rm(found, { recursive: true, force: true }))
  const { FUZZ_SEED: seed = String(randomInt(2 ** 31)), FUZZ_TARGET: only } = process.env
  const args = [
    'scripts/fuzz.mjs',
    '--seconds',
    String(SECONDS),
    '--seed',
    seed,
    '--fresh',
    '--found',
    found,
    ...(only === undefined ? [] : ['--target', only]),
  ]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  process.stdout.write(`${stdout.split('\n').slice(0, 1).join('')}\n`)
  expect(status, `${stdout}\n${stderr}`).toBe(0)
}, 180_000)

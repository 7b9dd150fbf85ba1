/** Every size from the smallest on: each step in a process of its own, whose memory is watched from outside. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { anonymousMb } from '../charts/machine.mjs'
import { median } from '../charts/numbers.mjs'

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url))
const STEPS = ['load', 'build', 'lookup', 'page', 'export', 'restore']
const SAMPLE_MS = 10
const SMALLEST = 1_000

/** 1,000, 3,162, 10,000 and so on, and the largest itself. */
export function sizesUpTo(max) {
  const sizes = []
  for (let half = 0; ; half++) {
    const size = Math.round(SMALLEST * 10 ** (half / 2))
    if (size >= max) break
    sizes.push(size)
  }
  return [...sizes, max]
}

/** What is large takes long, and is less noisy: it is done once. */
const LARGE = 1_000_000

/** The figures of a size: medians of its rounds, with the anonymous memory of each step. */
export async function measureSize(size, times, env) {
  const rounds = []
  for (let i = 0; i < (size < LARGE ? times : 1); i++) rounds.push(await oneRound(size, env))
  const names = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, median(rounds.map((one) => one[name]))]))
}

async function oneRound(size, env) {
  const dir = mkdtempSync(join(process.env.CAIRN_BENCH_DIR ?? tmpdir(), 'cairn-growth-'))
  const figures = {}
  try {
    for (const step of STEPS) {
      const { said, peakMb } = await runStep(step, size, dir, env)
      Object.assign(figures, said, { [`${step}, MB`]: peakMb })
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  return figures
}

async function runStep(step, size, dir, env) {
  const child = spawn(process.execPath, [CHILD, step, String(size), dir], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (part) => (output += part))
  let peakMb = 0
  const watch = setInterval(() => {
    peakMb = Math.max(peakMb, anonymousMb(child.pid))
  }, SAMPLE_MS)
  try {
    await once(child, 'close')
  } finally {
    clearInterval(watch)
  }
  if (child.exitCode !== 0)
    throw new Error(`${step} of ${size} ended with ${child.exitCode ?? child.signalCode}.`)
  return { said: JSON.parse(output.trim().split('\n').at(-1)), peakMb }
}

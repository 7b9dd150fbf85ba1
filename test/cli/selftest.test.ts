/** `cairn selftest`: what it finds on a sound disk, and that it finds a store that loses what it acknowledged. */
import {
  cp,
  mkdir,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Sandbox } from './sandbox.ts'

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))

interface Kill {
  readonly operation: string
  readonly step: string
  readonly killed: boolean
  readonly recovered: boolean
  readonly problem: string | null
}

let box: Sandbox

beforeEach(async () => {
  box = await Sandbox.make()
})

afterEach(async () => {
  await box.remove()
})

test('every operation is tried on a scratch store, and nothing of it is left', async () => {
  const report = await box.json(['selftest'])
  expect(report).toMatchObject({ schema: 'cairn/selftest@v1', status: 'passed', kills: [] })
  const checks = report['checks'] as { operation: string; ok: boolean; amount: number }[]
  expect(checks.filter(({ ok, amount }) => !ok || !(amount > 0))).toEqual([])
  expect(checks.map(({ operation }) => operation).slice(3)).toEqual([
    'build',
    'export',
    'restore',
    'verify',
    'prune',
  ])
  expect(await readdir(box.dir)).toEqual([])
})

const STEPS = {
  append: ['commit'],
  build: ['stage', 'put blocks', 'flush', 'commit', 'end of staging'],
  export: ['lease', 'release', 'write file', 'sync file', 'name file'],
}

test.each(Object.entries(STEPS))(
  'a process is killed at each step of its %s, and all recovers',
  async (only, steps) => {
    const { code, stdout } = await box.run(['selftest', '--kill', '--only', only, '--json'])
    const { status, kills } = JSON.parse(stdout) as { status: string; kills: Kill[] }
    expect([code, status, kills.filter(({ recovered }) => !recovered)]).toEqual([0, 'passed', []])
    expect(new Set(kills.map(({ step }) => step))).toEqual(new Set(steps))
    expect(kills.filter(({ killed }) => killed).length).toBeGreaterThanOrEqual(4)
    expect(await readdir(box.dir)).toEqual([])
  },
)

test('for people there is a line for each kill, and a verdict', async () => {
  const out = await box.ok(['selftest', '--kill', '--only', 'append', '--dir', '.'])
  const lines = out.trimEnd().split('\n')
  expect(lines).toHaveLength(9)
  expect(lines[0]).toMatch(/^recovered +append +killed before +commit +\d+ ms$/)
  expect(lines.at(-1)).toMatch(/^passed: \d kills, all recovered$/)
})

/** The project as it is, but for one file, which is broken in the process that is killed. */
async function plant(file: string, sound: RegExp, broken: string): Promise<void> {
  const dist = join(dirname(dirname(box.bin())), 'dist')
  const built = await realpath(dist)
  await unlink(dist)
  await cp(built, dist, { recursive: true })
  await symlink(MODULES, join(dirname(dist), 'node_modules'))
  const text = await readFile(join(dist, file), 'utf8')
  expect(text.split(sound)).toHaveLength(2)
  await writeFile(join(dist, file), text.replace(sound, broken))
}

test('a store that names blocks before it has written them is found out', async () => {
  await plant(
    'backend/lmdb/index.js',
    /const blocks = newBlocks\(\[\.\.\.\(request\.content \?\? \[\]\), \.\.\.request\.blocks\]\);/,
    `const all = newBlocks([...(request.content ?? []), ...request.blocks])
     const early = !process.argv[1].endsWith('child.js')
     const blocks = early ? all : []
     const put = (tables) => putBlocks(tables, all)
     const later = new Promise((resolve) => setTimeout(resolve, 100))
     if (!early) void this.#track(later.then(() => this.#environment.write('no_space', put)))`,
  )
  const { code, stdout } = await box.run(['selftest', '--kill', '--only', 'append', '--json'])
  const { status, kills } = JSON.parse(stdout) as { status: string; kills: Kill[] }
  expect([code, status]).toEqual([18, 'failed'])
  expect(kills.map(({ problem }) => problem)).toContainEqual(
    expect.stringContaining('block_missing'),
  )
})

test('what it cannot do is refused', async () => {
  const calls: [string[], string][] = [
    [['--store', 'memory:'], 'usage'],
    [['--only', 'build'], 'usage'],
    [['--kill', '--only', 'nothing'], 'usage'],
    [['--rounds', '0'], 'usage'],
  ]
  for (const [args, code] of calls) expect((await box.fails(['selftest', ...args])).code).toBe(code)
  await mkdir(box.path('there'))
  expect((await box.fails(['selftest', '--dir', 'nowhere'])).exit).toBe(2)
  await rm(box.path('there'), { recursive: true })
})

/**
 * Do the tests bite? Applies each patch of test/planted, one at a time, to a copy of the project; every
 * one breaks a promise in the code, and the test that its header names must then fail, by an assertion,
 * and pass without it.
 *
 *   node scripts/planted.mjs            all of it
 *   node scripts/planted.mjs NAME...    only the patches whose file names contain a NAME
 *   node scripts/planted.mjs --check    only whether the patches apply
 *   node scripts/planted.mjs --tested   after a test run that was green: tests as it ran them need not
 *                                       be shown to pass again
 *
 * A patch begins with some lines before the diff:
 *   # test: test/promises/promise-1.test.ts
 *   # name: the full name of one test of that file
 *   # catcher: the machine that the test belongs to; of promise-N-*.patch the promise, unless given
 *   # env: NAME=VALUE            any number of these, such as a seed
 *   # timing: real               where and when processes are killed decides; not part of --tested
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'test', 'planted')
const copied = [
  'src',
  'test',
  'scripts',
  'tools',
  'bin',
  'fixtures',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vitest.config.ts',
]
/** What tools keep beside the packages. */
const OF_ONE_TREE = new Set(['.cache', '.vite', '.vite-temp', '.vitest'])
const TEST_MS = 180_000
/** So many copies at a time. A test waits more than it computes, and has its own processes. */
const LANES = 2

const checkOnly = process.argv.includes('--check')
const tested = process.argv.includes('--tested')
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith('--'))

function readPatch(file) {
  const text = readFileSync(join(folder, file), 'utf8')
  const header = (key) => new RegExp(`^# ${key}: (.+)$`, 'm').exec(text)?.[1]
  const test = header('test')
  const name = header('name')
  const promise = /^promise-(\d)/.exec(file)?.[1]
  const catcher = header('catcher') ?? (promise === undefined ? undefined : `promise ${promise}`)
  if (test === undefined || name === undefined || catcher === undefined)
    throw new Error(`${file} does not name its test and what catches it.`)
  const env = Object.fromEntries(
    [...text.matchAll(/^# env: (\w+)=(.*)$/gm)].map(([, ...pair]) => pair),
  )
  return { file, text, test, name, catcher, env, repeats: header('timing') !== 'real' }
}

function copyProject() {
  const dir = mkdtempSync(join(tmpdir(), 'cairn-planted-'))
  for (const name of copied) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(dir, name), { recursive: true })
  }
  // One of its own, so that what is compiled from the copy stays in it.
  const modules = join(dir, 'node_modules')
  mkdirSync(modules)
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!OF_ONE_TREE.has(name)) symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  return dir
}

/** Two lines of context are enough, and the place may have moved. */
function apply(dir, patch, reverse = false) {
  const args = ['apply', '--recount', '-C1', ...(reverse ? ['-R'] : []), '-']
  const env = { ...process.env, GIT_DIR: join(dir, '.none'), GIT_CEILING_DIRECTORIES: tmpdir() }
  const { status, stderr } = spawnSync('git', args, {
    cwd: dir,
    input: patch.text,
    env,
    encoding: 'utf8',
  })
  return status === 0 ? undefined : stderr.trim()
}

/** Runs one test by its name: `passed`, `failed` by an assertion, or why it did not run as it should. */
async function runTest(dir, { test, name, env }) {
  const report = join(dir, 'report.json')
  rmSync(report, { force: true })
  const exact = `^${name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}$`
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const args = [vitest, 'run', test, '-t', exact, '--reporter=json', `--outputFile=${report}`]
  const child = spawn(process.execPath, args, {
    cwd: dir,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: TEST_MS,
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  await once(child, 'close')
  if (!existsSync(report)) return `no report: ${stderr.slice(0, 300)}`
  const suites = JSON.parse(readFileSync(report, 'utf8')).testResults
  const one = suites
    .flatMap(({ assertionResults }) => assertionResults)
    .find(({ fullName }) => fullName === name)
  if (one === undefined) return suites[0]?.message?.slice(0, 300) || 'there is no test of this name'
  if (one.status === 'passed') return 'passed'
  const message = one.failureMessages?.[0] ?? ''
  const asserted = /^(AssertionError|Error: Property failed[^]*AssertionError)/.test(message)
  return asserted ? 'failed' : `${one.status}: ${message.slice(0, 200)}`
}

function print({ catcher, file }, verdict, began) {
  const time = checkOnly ? '' : `${Math.round((performance.now() - began) / 1000)} s`
  const [sign, why] = verdict === 'ok' ? ['ok ', ''] : ['BAD', verdict]
  const line = `${sign}  ${catcher.padEnd(16)} ${file.padEnd(54)} ${time.padStart(5)} ${why}`
  process.stdout.write(`${line.trimEnd()}\n`)
}

const patches = readdirSync(folder)
  .filter((file) => file.endsWith('.patch'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
  .map(readPatch)
  .filter(({ repeats }) => repeats || !tested)
/** Whether the test passes without the patch, asked once for each way of running it. */
const sound = new Map()
function passesAlone(dir, patch) {
  if (checkOnly || (tested && Object.keys(patch.env).length === 0)) return 'passed'
  const key = JSON.stringify([patch.test, patch.name, patch.env])
  if (!sound.has(key)) sound.set(key, runTest(dir, patch))
  return sound.get(key)
}

async function judge(dir, patch) {
  const before = await passesAlone(dir, patch)
  const refused = apply(dir, patch)
  if (refused !== undefined) return `does not apply: ${refused}`
  const after = before === 'passed' && !checkOnly ? await runTest(dir, patch) : 'failed'
  if (apply(dir, patch, true) !== undefined) throw new Error(`${patch.file} cannot be taken back.`)
  if (before !== 'passed') return `without the patch: ${before}`
  return after === 'failed' ? 'ok' : `with the patch: ${after}`
}

let bad = 0
async function lane(waiting) {
  const dir = copyProject()
  try {
    for (let patch = waiting.shift(); patch !== undefined; patch = waiting.shift()) {
      const began = performance.now()
      const verdict = await judge(dir, patch)
      if (verdict !== 'ok') bad += 1
      print(patch, verdict, began)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

execFileSync('git', ['--version'])
const waiting = [...patches]
await Promise.all(Array.from({ length: checkOnly ? 1 : LANES }, () => lane(waiting)))
const catchers = new Set(patches.map(({ catcher }) => catcher))
const found = `${patches.length - bad} ${checkOnly ? 'apply' : 'noticed'}, ${bad} not`
process.stdout.write(`${patches.length} planted faults for ${[...catchers].join(', ')}: ${found}\n`)
process.exitCode = bad === 0 && patches.length > 0 ? 0 : 1

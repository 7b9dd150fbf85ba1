/**
 * Runs all checks and tests, and counts them: the static checks, the tests (a real Kubo node is built
 * if there is none, and Chromium installed), the planted faults, and the demo on other versions of Node.
 *
 *   node scripts/test.mjs          ends with "N passed, N failed"
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'

const REPORT = 'node_modules/.cache/cairn-tests.json'
let passed = 0
let failed = 0

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (error) process.stderr.write(`${command}: ${error.message}\n`)
  return status === 0
}

/** One thing that passes or fails as a whole. */
function check(title, command, args, env) {
  process.stdout.write(`\n== ${title}\n`)
  const good = run(command, args, env)
  if (good) passed += 1
  else failed += 1
  process.stdout.write(`${good ? 'passed' : 'FAILED'}: ${title}\n`)
}

function tests(env) {
  process.stdout.write('\n== tests\n')
  rmSync(REPORT, { force: true })
  const args = ['run', '--reporter=dot', '--reporter=json', `--outputFile.json=${REPORT}`]
  const good = run('node_modules/.bin/vitest', args, env)
  try {
    const report = JSON.parse(readFileSync(REPORT, 'utf8'))
    passed += report.numPassedTests
    failed += report.numFailedTests
    // A file that could not be run counts no test of its own, and a run can fail beside its tests.
    if (!good && report.numFailedTests === 0) failed += 1
    for (const file of report.testResults) {
      const bad = file.assertionResults.filter(({ status }) => status === 'failed')
      for (const { fullName } of bad) process.stdout.write(`FAILED: ${fullName}\n`)
    }
  } catch (error) {
    process.stdout.write(`FAILED: the tests left no report: ${error.message}\n`)
    failed += 1
  }
}

/** A program that the tests need, made or installed by a script of that name, as a variable for them. */
function tool(variable, script, ...args) {
  const { status, stdout } = spawnSync(process.execPath, [`scripts/${script}.mjs`, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return status === 0 ? { [variable]: stdout.trim() } : {}
}

const env = {
  ...tool('KUBO_BIN', 'kubo'),
  ...tool('MINIO_BIN', 'minio'),
  ...tool('CLUSTER_BIN', 'cluster'),
  ...tool('CLUSTER_CTL_BIN', 'cluster', 'ctl'),
  ...tool('CAIRN_CHROMIUM', 'chromium'),
}

for (const name of ['typecheck', 'lint', 'format:check', 'knip'])
  check(name, 'npm', ['run', '--silent', name])
check('build', 'npm', ['run', '--silent', 'build'])
tests(env)
const unproved = failed > 0 ? [] : ['--', '--tested']
check('planted faults are found', 'npm', ['run', '--silent', 'planted', ...unproved], env)
check('the demo on Node 20', process.execPath, ['scripts/demo.mjs'])
check('the demo on Node 22 and 24', process.execPath, ['scripts/other-nodes.mjs'])

process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1

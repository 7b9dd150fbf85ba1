/** Kills processes and nodes at random moments of export, restore and prune: `npm run kills -- --kills 200`. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'

const out = 'node_modules/.cache/cairn-kills'

function run(args, env = {}) {
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (status !== 0) process.exit(status ?? 1)
}

run(['node_modules/typescript/bin/tsc', '-p', 'test/kills/tsconfig.json'])
mkdirSync(out, { recursive: true })
// Below node_modules no package.json says what kind of modules these are.
writeFileSync(`${out}/package.json`, '{ "type": "module" }\n')
const kubo = spawnSync(process.execPath, ['scripts/kubo.mjs'], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
})
if (kubo.status !== 0) process.exit(1)
const worker = resolve('test/kills/worker.mjs')
run([`${out}/test/kills/main.js`, '--worker', worker, ...process.argv.slice(2)], {
  KUBO_BIN: kubo.stdout.trim(),
})

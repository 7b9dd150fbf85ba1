/** Round trips at scale, their memory, and what a prune leaves: `npm run scale -- --sizes 2300,100000`. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'

const out = 'node_modules/.cache/cairn-scale'

function run(args, env = {}) {
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (status !== 0) process.exit(status ?? 1)
}

run(['node_modules/typescript/bin/tsc', '-p', 'scripts/scale/tsconfig.json'])
mkdirSync(out, { recursive: true })
// Below node_modules no package.json says what kind of modules these are.
writeFileSync(`${out}/package.json`, '{ "type": "module" }\n')
const kubo = spawnSync(process.execPath, ['scripts/kubo.mjs'], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
})
if (kubo.status !== 0) process.exit(1)
run([`${out}/scripts/scale/main.js`, ...process.argv.slice(2)], { KUBO_BIN: kubo.stdout.trim() })

/** Adds what today's Cairn writes to fixtures/versions, as the next format: `node scripts/versions.mjs`. */
import { spawnSync } from 'node:child_process'
import { runCompiled } from './compiled.mjs'

const folder = 'fixtures/versions'
runCompiled({
  name: 'cairn-versions',
  project: 'test/versions/tsconfig.json',
  main: 'test/versions/main.js',
  args: ['--folder', folder, ...process.argv.slice(2)],
})
const { status } = spawnSync(
  'node_modules/.bin/prettier',
  ['--write', '--log-level=warn', folder],
  {
    stdio: 'inherit',
  },
)
process.exitCode = status ?? 1

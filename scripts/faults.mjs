/** Makes every step of every operation fail, on every backend: `node scripts/faults.mjs --backend lmdb`. */
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-faults',
  project: 'test/faults/tsconfig.json',
  main: 'test/faults/main.js',
  args: process.argv.slice(2),
})

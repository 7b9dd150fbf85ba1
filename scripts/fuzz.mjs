/**
 * Changed inputs for every decoder and for CARs, guided by the code they reach, until the time is over:
 * `npm run fuzz -- --hours 8`.
 */
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-fuzz',
  project: 'test/fuzz/tsconfig.json',
  main: 'test/fuzz/main.js',
  args: process.argv.slice(2),
  kubo: false,
})

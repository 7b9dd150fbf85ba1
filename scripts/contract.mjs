/**
 * Holds a real service to its own API document, with every check of schemathesis: `npm run contract`. Options:
 * --seed N, --examples N (for each operation), --only OPERATION_ID, --open (without tokens as well).
 */
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-contract',
  project: 'test/contract/tsconfig.json',
  main: 'test/contract/main.js',
  args: process.argv.slice(2),
  kubo: false,
})

/** Compiles the benchmarks and runs them: `npm run bench`. */
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-bench',
  project: 'tsconfig.bench.json',
  main: 'scripts/bench/main.js',
  args: process.argv.slice(2),
})

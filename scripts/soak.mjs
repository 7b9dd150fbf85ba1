/** Kills processes and nodes for an hour and compares what is left with what was acknowledged: `npm run soak`. */
import { resolve } from 'node:path'
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-soak',
  project: 'test/soak/tsconfig.json',
  main: 'test/soak/main.js',
  args: ['--worker', resolve('test/soak/worker.mjs'), ...process.argv.slice(2)],
})

/** Kills processes and nodes at random moments of export, restore and prune: `npm run kills -- --kills 200`. */
import { resolve } from 'node:path'
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-kills',
  project: 'test/kills/tsconfig.json',
  main: 'test/kills/main.js',
  args: ['--worker', resolve('test/kills/worker.mjs'), ...process.argv.slice(2)],
})

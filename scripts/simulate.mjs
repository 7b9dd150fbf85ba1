/** Plays seeded worlds in which everything goes wrong: `npm run simulate -- --hours 8`. */
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-simulation',
  project: 'test/simulation/tsconfig.json',
  main: 'test/simulation/main.js',
  args: process.argv.slice(2),
  kubo: false,
})

/** Round trips at scale, their memory, and what a prune leaves: `npm run scale -- --sizes 2300,100000`. */
import { runCompiled } from './compiled.mjs'

const args = process.argv.slice(2)

runCompiled({
  name: 'cairn-scale',
  project: 'scripts/scale/tsconfig.json',
  main: 'scripts/scale/main.js',
  args,
  minio: args.some((arg) => arg.includes('s3')),
})

/** Records what clients of several processes see while they are killed, and checks it: `npm run histories -- --minutes 5`. */
import { resolve } from 'node:path'
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-histories',
  project: 'test/histories/tsconfig.json',
  main: 'test/histories/main.js',
  minio: true,
  args: ['--worker', resolve('test/histories/worker.mjs'), ...process.argv.slice(2)],
})

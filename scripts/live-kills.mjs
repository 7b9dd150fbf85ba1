/** Kills a server with a session at random moments while clients write: `npm run kills:live -- --kills 500`. */
import { resolve } from 'node:path'
import { runCompiled } from './compiled.mjs'

runCompiled({
  name: 'cairn-live-kills',
  project: 'test/live/tsconfig.json',
  main: 'test/live/kills-main.js',
  args: ['--server', resolve('test/live/scene-server.mjs'), ...process.argv.slice(2)],
  kubo: false,
})

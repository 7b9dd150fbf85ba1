/**
 * The page with something to see: a demo store with a month of history, made once, and the service on it.
 *
 *   node scripts/start.mjs [FOLDER] [any flag of `cairn serve`]
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openCairn } from '../dist/index.js'
import { fillMuseum } from './museum.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const given = process.argv.slice(2)
const folder = given[0]?.startsWith('-') === false ? given.shift() : join(root, '.cairn-demo')
const store = `lmdb:${join(folder, 'store')}`
const places = ['--store', store, '--data-dir', folder]

const say = (text) => process.stdout.write(`${text}\n`)

function cairn(args) {
  const child = spawn(process.execPath, [join(root, 'bin/cairn'), ...args, ...places], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
  return { child, ended }
}

async function must(args) {
  const code = await cairn(args).ended
  if (code !== 0) throw new Error(`cairn ${args.join(' ')} ended with ${code}`)
}

async function makeDemo() {
  say('Making a demo: a museum with 10,000 objects, and a month of its snapshots.')
  await mkdir(folder, { recursive: true })
  const clock = { now: 0 }
  const opened = await openCairn(store, { create: true, now: () => clock.now })
  try {
    await fillMuseum(opened, clock)
  } finally {
    await opened.close()
  }
  await must(['export-car', '--quiet'])
  await must(['drill', '--quiet'])
  await must(['verify', '--quiet'])
}

if (!existsSync(folder)) {
  await makeDemo().catch(async (error) => {
    // Half of a demo would be served as a whole one the next time.
    await rm(folder, { recursive: true, force: true })
    throw error
  })
}
const log = join(folder, 'service.log')
say(`Serving the demo in ${folder}; remove that folder to begin anew. The log is ${log}.`)
say('Open the address in a browser; Ctrl-C ends it.')
const { child, ended } = cairn(['serve', '--log-file', log, ...given])
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
process.exitCode = await ended

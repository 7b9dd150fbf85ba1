/** The real `cairn serve`, as a process, with its memory watched from outside. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { anonymousMb } from '../charts/machine.mjs'

const SAMPLE_MS = 100

/** On a free port of this machine. `library` is the URL of the compiled library; `profile` is a folder. */
export async function startServer({ library, dir, profile }) {
  const main = new URL('cli/main.js', library).href
  const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const code = `import(${JSON.stringify(main)}).then(({ main }) => main(process.argv.slice(1)))`
  const serve = ['serve', '--port', '0', '--data-dir', dir, '--log-file', `${dir}/log`]
  const child = spawn(process.execPath, [...flags, '-e', code, '--', ...serve], {
    env: { PATH: process.env.PATH, HOME: dir, CAIRN_CONTENT: 'external' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const orphaned = () => child.kill('SIGKILL')
  process.once('exit', orphaned)
  const url = await Promise.race([listening(child), closed])
  if (typeof url !== 'string') throw new Error(`The service ended before it listened: ${url}.`)
  const memory = []
  const watch = setInterval(() => memory.push(anonymousMb(child.pid)), SAMPLE_MS)
  const end = async (signal) => {
    clearInterval(watch)
    child.kill(signal)
    await closed
    process.removeListener('exit', orphaned)
  }
  return { url, memory, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') }
}

function listening(child) {
  let text = ''
  return new Promise((resolve) => {
    child.stdout.on('data', (part) => {
      text += part
      const url = /^cairn listens on (http\S+)\n/.exec(text)?.[1]
      if (url !== undefined) resolve(url)
    })
  })
}

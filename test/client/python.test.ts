/** The client in Python: its own tests against the real service, also while that is killed. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { serve, until } from '../helpers/served.ts'

const FOLDER = fileURLToPath(new URL('../../clients/python', import.meta.url))
const QUIET = ['--save-interval', '0']

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make()
  return () => sandbox.remove()
})

const environment = (url: string): NodeJS.ProcessEnv => ({
  ...process.env,
  CAIRN_URL: url,
  PYTHONDONTWRITEBYTECODE: '1',
})

test('the tests of the client in Python pass', async () => {
  const { url } = await serve(sandbox, QUIET)
  const options = { cwd: FOLDER, env: environment(url), timeout: 55_000 }
  const args = ['-W', 'error', '-m', 'unittest', 'discover', '-t', '.', '-s', 'tests']
  const { stderr } = await promisify(execFile)('python3', args, options)
  expect(stderr).toMatch(/Ran \d\d tests in/)
  expect(stderr).toMatch(/\nOK\n$/)
})

test('the service is killed while a client appends: all that was acknowledged is there, once', async () => {
  const first = await serve(sandbox, QUIET)
  const { port } = new URL(first.url)
  const python = spawn('python3', ['-m', 'tests.crash'], {
    cwd: FOLDER,
    env: environment(first.url),
  })
  onTestFinished(() => void python.kill('SIGKILL'))
  const closed = once(python, 'close')
  let said = ''
  for (const output of [python.stdout, python.stderr])
    output.on('data', (part: Buffer) => (said += part.toString()))
  let service = first
  for (const count of [40, 120]) {
    await until(() => said.includes(`acknowledged ${count}\n`) || python.exitCode !== null)
    service.child.kill('SIGKILL')
    expect(await service.ended()).toBe('SIGKILL')
    service = await serve(sandbox, [...QUIET, '--port', port], {}, first.dir)
  }
  expect(await closed, said).toEqual([0, null])
  expect(said).toMatch(/^ok 240$/m)
})

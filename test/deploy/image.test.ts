/**
 * The Dockerfile, as Docker's own parser reads it, and what it starts: the entrypoint, the service and the health
 * check, outside a container, as a user without rights, with the environment that the image and Compose give.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  access,
  chmod,
  constants,
  cp,
  mkdir,
  readFile,
  rename,
  stat,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { until } from '../helpers/served.ts'
import { Sandbox, type Result } from '../cli/sandbox.ts'
import { readDockerfile, readProject, ROOT, type Dockerfile } from './compose-tool.ts'

const UID = 10_001
const HOME = '/opt/cairn'

let image: Dockerfile
let box: Sandbox

beforeAll(async () => {
  ;[image, box] = await Promise.all([readDockerfile(join(ROOT, 'Dockerfile')), Sandbox.make()])
  const home = dirname(dirname(box.bin()))
  await mkdir(join(home, 'scripts'))
  for (const name of ['docker-entrypoint.sh', 'docker-healthcheck.mjs'])
    await cp(join(ROOT, 'scripts', name), join(home, 'scripts', name))
  await chmod(home, 0o755)
})

afterAll(() => box.remove())

const stage = (name: string): readonly string[] =>
  image.stages.find((one) => one.name === name)?.commands ?? []
const argsOf = (commands: readonly string[], instruction: string): string[] =>
  commands
    .filter((one) => one.startsWith(`${instruction} `))
    .map((one) => one.slice(instruction.length + 1))
const json = (text = ''): string[] => JSON.parse(text.slice(text.indexOf('['))) as string[]

/** What the image sets, without quotes, as the file has none. */
function environment(): Record<string, string> {
  const pairs = argsOf(stage('run'), 'ENV')
    .join(' ')
    .matchAll(/(\w+)=(\S+)/g)
  return Object.fromEntries([...pairs].map(([, name = '', value = '']) => [name, value]))
}

test('the parser and the linter of Docker have nothing to say', async () => {
  expect(image.warnings).toEqual([])
  expect(image.stages.map(({ name }) => name)).toEqual(['build', 'run'])
  const text = await readFile(join(ROOT, 'Dockerfile'), 'utf8')
  const wrong = await box.write('wrong', text.replace('AS build', 'as build'))
  expect((await readDockerfile(wrong)).warnings).toHaveLength(1)
  const broken = await box.write('broken', text.replace('WORKDIR', 'WORKDIRS'))
  await expect(readDockerfile(broken)).rejects.toThrow('unknown instruction')
})

test('the base has a version that Cairn takes, and both stages have the same', async () => {
  const text = await readFile(join(ROOT, 'Dockerfile'), 'utf8')
  const [, major, minor] = /^ARG NODE_IMAGE=node:(\d+)\.(\d+)\.\d+-\w+-slim$/m.exec(text) ?? []
  expect(Number(major) * 100 + Number(minor)).toBeGreaterThanOrEqual(2019)
  expect(image.stages.map(({ from }) => from)).toEqual(['${NODE_IMAGE}', '${NODE_IMAGE}'])
})

test('what is copied from the checkout is there, and not kept out', async () => {
  const ignore = await readFile(join(ROOT, '.dockerignore'), 'utf8')
  const kept = [...ignore.matchAll(/^!(\S+)$/gm)].map(([, name = '']) => name)
  expect(ignore.split('\n')).toContain('*')
  const made = new Set(['node_modules', 'dist'])
  const copied = argsOf(stage('run'), 'COPY')
    .flatMap((line) => [...line.matchAll(/\/opt\/cairn\/(\S+)/g)])
    .map(([, name = '']) => name)
  expect(copied.length).toBeGreaterThan(6)
  const [first = ''] = argsOf(stage('build'), 'COPY')
  for (const name of [...copied, ...first.split(' ').slice(0, -1)]) {
    if (made.has(name)) continue
    await access(join(ROOT, name))
    expect([name, kept.some((one) => name === one || name.startsWith(`${one}/`))]).toEqual([
      name,
      true,
    ])
  }
  for (const one of ['.env', '.git', 'node_modules', 'backups']) expect(kept).not.toContain(one)
})

test('it runs as a number without rights, its folders are that one’s, and it starts what is there', async () => {
  const run = stage('run')
  expect(argsOf(run, 'USER')).toEqual([`${UID}:${UID}`])
  const folders = argsOf(run, 'RUN').join(' ')
  for (const folder of ['/data', '/backups', '/scrape']) expect(folders).toContain(folder)
  expect(folders).toContain(`-o ${UID} -g ${UID}`)
  const { CAIRN_DATA_DIR: data, CAIRN_BACKUPS_DIR: backups, TMPDIR } = environment()
  expect(json(argsOf(run, 'VOLUME')[0])).toEqual([data, backups])
  expect(TMPDIR?.startsWith(`${data}/`)).toBe(true)
  const [entrypoint = ''] = json(argsOf(run, 'ENTRYPOINT')[0])
  await access(entrypoint.replace(HOME, ROOT), constants.X_OK)
  const check = json(argsOf(run, 'HEALTHCHECK')[0])
  await access((check[1] ?? '').replace(HOME, ROOT))
  expect(json(argsOf(run, 'CMD')[0])).toEqual(['serve', '--no-progress'])
})

interface Container {
  readonly env: Record<string, string>
  readonly data: string
  readonly url: string
  readonly start: () => { child: ChildProcess; log: () => string; ended: Promise<number | null> }
  readonly exec: (...words: readonly string[]) => Promise<Result>
}

/** The environment of a container with its volumes, at places of this machine. */
async function container(name: string): Promise<Container> {
  const volumes = box.path(name)
  const data = join(volumes, 'data')
  const port = await freePort()
  const bin = dirname(box.bin())
  const { project } = await readProject(join(ROOT, 'docker-compose.yml'), [], {
    COMPOSE_DISABLE_ENV_FILE: '1',
  })
  const composed = Object.entries(project.services['cairn']?.environment ?? {})
  const given = composed.filter((one): one is [string, string] => one[1] !== null)
  const all = { ...environment(), ...Object.fromEntries(given), CAIRN_PORT: String(port) }
  const env = Object.fromEntries(
    Object.entries(all).map(([key, value]) => [
      key,
      value.replace(/^\/(data|backups)\b/, `${volumes}/$1`),
    ]),
  )
  env['PATH'] = `${bin}:${dirname(process.execPath)}:/usr/bin:/bin`
  for (const folder of ['data', 'backups', 'scrape']) {
    await mkdir(join(volumes, folder), { recursive: true })
    await own(join(volumes, folder))
  }
  const command = (words: readonly string[]): ChildProcess =>
    spawn(...asUser(words), { cwd: data, env, stdio: ['ignore', 'pipe', 'pipe'] })
  return {
    env,
    data,
    url: `http://127.0.0.1:${port}`,
    start: () => {
      const child = command([join(dirname(bin), 'scripts/docker-entrypoint.sh'), ...CMD])
      onTestFinished(() => void child.kill('SIGKILL'))
      let text = ''
      child.stdout?.on('data', (part: Buffer) => (text += part.toString()))
      child.stderr?.on('data', (part: Buffer) => (text += part.toString()))
      const ended = once(child, 'close').then(([code]) => code as number | null)
      return { child, log: () => text, ended }
    },
    exec: async (...words) => {
      const child = command(words)
      const [out, err] = [[] as Buffer[], [] as Buffer[]]
      child.stdout?.on('data', (part: Buffer) => out.push(part))
      child.stderr?.on('data', (part: Buffer) => err.push(part))
      const [code] = (await once(child, 'close')) as [number | null]
      return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }
    },
  }
}

const CMD = ['serve', '--no-progress']
const isRoot = process.getuid?.() === 0

/** Root becomes the user of the image; anybody else has no more rights than that one. */
function asUser(words: readonly string[]): [string, string[]] {
  const id = String(UID)
  const drop = ['--reuid', id, '--regid', id, '--clear-groups', '--no-new-privs']
  const bounds = ['--inh-caps=-all', '--bounding-set=-all']
  const [program = '', ...args] = isRoot ? ['setpriv', ...drop, ...bounds, ...words] : words
  return [program, args]
}

async function own(folder: string): Promise<void> {
  await chmod(folder, 0o700)
  if (!isRoot) return
  const chown = spawn('chown', [`${UID}:${UID}`, folder])
  await once(chown, 'close')
}

test('a token that cannot be put where it belongs does not stay, and a start that was killed is made good', async () => {
  const { data, env, exec } = await container('killed')
  const entrypoint = join(dirname(dirname(box.bin())), 'scripts/docker-entrypoint.sh')
  const broken = box.path('broken-bin')
  await mkdir(broken)
  await writeFile(join(broken, 'mv'), '#!/bin/sh\necho no space >&2\nexit 1\n')
  await chmod(join(broken, 'mv'), 0o755)
  const path = `PATH=${broken}:${env['PATH'] ?? ''}`
  const failed = await exec('env', path, entrypoint, 'serve', '--help')
  expect(failed).toMatchObject({ code: 1, stdout: '' })
  expect(failed.stderr).toContain(`The token admin cannot be put into ${join(data, 'admin.token')}`)
  expect(JSON.parse((await exec('cairn', 'token', 'list', '--json')).stdout)).toEqual({
    tokens: [],
  })

  const file = join(data, 'admin.token')
  expect((await exec(entrypoint, 'serve', '--help')).code).toBe(0)
  const token = await readFile(file, 'utf8')
  await rename(file, `${file}.new`)
  expect((await exec(entrypoint, 'serve', '--help')).code).toBe(0)
  expect(await readFile(file, 'utf8')).toBe(token)
})

test('the first start makes a token, the health check follows the service, and it ends with all saved', async () => {
  const { data, url, env, start, exec } = await container('first')
  const scripts = join(dirname(dirname(box.bin())), 'scripts')
  const check = async (): Promise<number | null> =>
    (await exec('node', join(scripts, 'docker-healthcheck.mjs'))).code
  expect(await check()).toBe(1)

  const first = start()
  await until(() => first.log().includes('"service.listening"'))
  expect(await check()).toBe(0)
  const file = join(data, 'admin.token')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const token = (await readFile(file, 'utf8')).trim()
  expect(first.log()).toContain(`The first token, with all rights, is in ${file}.`)
  expect(first.log()).not.toContain(token)

  const main = `${url}/v1/datasets/main`
  expect((await fetch(main)).status).toBe(401)
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const put = { method: 'PUT', headers, body: '{"value":1}' }
  expect((await fetch(`${main}/entities/one`, put)).status).toBe(201)
  // What is run in the container: beside the service, on the same store.
  const status = await exec('cairn', 'status', '--json')
  expect(JSON.parse(status.stdout)).toMatchObject({ total_count: 1, recent_count: 1 })

  const scrape = join(dirname(data), 'scrape', 'prometheus.token')
  const entrypoint = join(scripts, 'docker-entrypoint.sh')
  for (const round of [1, 2]) {
    expect([round, await exec(entrypoint, 'scrape-token', scrape)]).toMatchObject([
      round,
      { code: 0, stdout: '' },
    ])
  }
  expect((await stat(scrape)).mode & 0o777).toBe(0o640)
  const read = { authorization: `Bearer ${(await readFile(scrape, 'utf8')).trim()}` }
  await expect.poll(async () => (await fetch(`${url}/metrics`, { headers: read })).status).toBe(200)
  expect(
    (await fetch(`${main}/entities/one`, { ...put, headers: { ...headers, ...read } })).status,
  ).toBe(403)

  first.child.kill('SIGTERM')
  expect(await first.ended).toBe(0)
  expect(first.log()).toContain('Backup completed: 1/1 successful')
  expect(await check()).toBe(1)

  // A lost token of Prometheus is made anew, the one of the administrator stays as it is.
  await writeFile(scrape, '')
  expect((await exec(entrypoint, 'scrape-token', scrape)).code).toBe(0)
  expect(await readFile(scrape, 'utf8')).toMatch(/^cairn_\w+\n$/)
  const second = start()
  await until(() => second.log().includes('"service.listening"'))
  expect(second.log()).not.toContain('The first token')
  expect((await readFile(file, 'utf8')).trim()).toBe(token)
  expect((await fetch(`${main}/entities/one`, { headers })).status).toBe(200)
  expect((await stat(join(data, 'tmp'))).isDirectory()).toBe(true)
  expect(env['NODE_OPTIONS']).toMatch(/^--max-old-space-size=/)
  second.child.kill('SIGTERM')
  expect(await second.ended).toBe(0)
})

test('tokens that cannot be read are complained about, not replaced', async () => {
  const { data, start } = await container('damaged')
  await writeFile(join(data, 'tokens.json'), '{"tokens":', { mode: 0o644 })
  const { ended, log } = start()
  expect(await ended).toBe(2)
  expect(log()).toContain('tokens.json')
  await expect(access(join(data, 'admin.token'))).rejects.toThrow('ENOENT')
})

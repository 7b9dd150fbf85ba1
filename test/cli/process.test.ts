import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { Output } from '../../src/cli/output.ts'
import { VERSION } from '../../src/version.ts'
import { Sandbox } from './sandbox.ts'

const exec = promisify(execFile)
let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
  const lines = Array.from(
    { length: 8000 },
    (_, i) => `{"pi":"${'x'.repeat(200)}${i}","value":${i % 10}}\n`,
  )
  await box.ok(['import', '-'], { input: lines.join('') })
})

afterAll(() => box.remove())

test('the version is that of package.json', async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
  expect(VERSION).toBe(version)
  expect(await box.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
})

test('help goes to stdout when asked for, and to stderr when nothing else was', async () => {
  const help = await box.run(['--help'])
  expect(help.code).toBe(0)
  for (const { name, alias } of COMMANDS) {
    expect(help.stdout).toContain(`  ${alias === undefined ? name : `${name}|${alias}`} `)
  }
  const bare = await box.run([])
  expect(bare).toMatchObject({ code: 2, stdout: '' })
  expect(bare.stderr).toContain('Usage: cairn')
})

test('the help of every command leads with examples', async () => {
  for (const { load } of COMMANDS) expect((await load()).examples.length).toBeGreaterThan(0)
  expect(await box.ok(['get', '--help'])).toMatch(/^Examples:\n {2}cairn get /)
  expect(await box.ok(['help', 'get'])).toMatch(/^Examples:/)
})

test('a wrong command line ends with 2 and says where to look', async () => {
  expect(await box.fails(['gte'])).toMatchObject({
    exit: 2,
    code: 'usage',
    hint: expect.stringContaining('get'),
  })
  expect(await box.fails(['get', 'a', '--nope'])).toMatchObject({
    exit: 2,
    hint: 'See `cairn get --help`.',
  })
  expect(await box.fails(['get'])).toMatchObject({ exit: 2 })
  expect(await box.fails(['get', 'a', 'b'])).toMatchObject({ exit: 2 })
  const plain = await box.run(['get'])
  expect(plain.stderr).toMatch(/^error: .*\.\n {2}hint: .*\.\n$/)
})

test('a reader that goes away is no error', async () => {
  const child = spawn(process.execPath, [box.bin(), 'export'], { cwd: box.dir, env: box.env })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  await once(child.stdout, 'data')
  child.stdout.destroy()
  expect(await once(child, 'close')).toEqual([0, null])
  expect(stderr).not.toContain('error')
})

test('a writer goes on when the reader of its acknowledgements has gone', async () => {
  const child = spawn(process.execPath, [box.bin(), 'import', '-', '--ack', '-d', 'acks'], {
    cwd: box.dir,
    env: box.env,
  })
  child.stdin.write('{"pi":"a","value":1}\n')
  await once(child.stdout, 'data')
  child.stdout.destroy()
  child.stdin.end('{"pi":"b","value":1}\n{"pi":"c","value":1}\n')
  expect(await once(child, 'close')).toEqual([0, null])
  expect(await box.json(['list', '-d', 'acks'])).toMatchObject({ total_count: 3 })
})

test('a full disk under stdout is an error', async () => {
  const full = await access('/dev/full', constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!full) return
  const script = `"${process.execPath}" "${box.bin()}" export --json > /dev/full`
  const run = exec('bash', ['-c', script], { cwd: box.dir, env: box.env })
  await expect(run).rejects.toMatchObject({
    code: 15,
    stderr: expect.stringContaining('"no_space"'),
  })
})

test('SIGTERM ends a waiting command with 143, a second signal at once', async () => {
  const start = async (): Promise<ReturnType<typeof spawn>> => {
    const child = spawn(process.execPath, [box.bin(), 'import', '-', '--ack', '-d', 'acks'], {
      cwd: box.dir,
      env: box.env,
    })
    child.stdin.write('{"pi":"t","value":1}\n')
    await once(child.stdout, 'data')
    return child
  }
  const polite = await start()
  polite.kill('SIGTERM')
  expect(await once(polite, 'close')).toEqual([143, null])
  const twice = await start()
  twice.kill('SIGINT')
  twice.kill('SIGINT')
  const [code, signal] = (await once(twice, 'close')) as [number | null, string | null]
  expect(code ?? signal).toBeOneOf([130, 'SIGINT'])
})

test('completion scripts are made for three shells, and bash takes its own', async () => {
  const script = await box.ok(['completion', 'bash'])
  const file = await box.write('completion.bash', script)
  await exec('bash', ['-n', file])
  const complete = async (...words: string[]): Promise<string[]> => {
    const list = words.map((word) => `'${word}'`).join(' ')
    const code = `source '${file}'; COMP_WORDS=(cairn ${list}); COMP_CWORD=${words.length}; _cairn; echo "\${COMPREPLY[@]}"`
    return (await exec('bash', ['-c', code])).stdout.trim().split(' ')
  }
  expect(await complete('his')).toEqual(['history'])
  expect(await complete('--store', 'lmdb:x', 'imp')).toEqual(['import', 'import-arke'])
  expect(await complete('import', '--b')).toEqual(['--batch'])
  expect(await complete('rollback', '--jso')).toEqual(['--json'])
  const others = await Promise.all(['zsh', 'fish'].map((shell) => box.ok(['completion', shell])))
  for (const other of others) for (const { name } of COMMANDS) expect(other).toContain(name)
  expect(await box.fails(['completion', 'tcsh'])).toMatchObject({ exit: 2 })
})

test('the programs are executable and say what is missing when nothing is built', async () => {
  const bare = await mkdtemp(join(tmpdir(), 'cairn-bare-'))
  try {
    for (const name of ['cairn', 'build-snapshot'])
      expect((await stat(`bin/${name}`)).mode & 0o777).toBe(0o755)
    await exec('cp', ['-r', 'bin', bare])
    const run = exec(join(bare, 'bin', 'cairn'), ['--version'])
    await expect(run).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('npm run build'),
    })
  } finally {
    await rm(bare, { recursive: true })
  }
})

test('logs are JSON on stderr, as much as was asked for', async () => {
  const { stdout, stderr } = await box.run(['build-snapshot', '--force', '-v', '--quiet'])
  expect(stdout.trim()).toMatch(/^bafy/)
  expect(JSON.parse(stderr.trim())).toMatchObject({
    level: 'info',
    msg: 'snapshot.built',
    dataset: 'main',
  })
  expect((await box.run(['build-snapshot', '--force', '--quiet'])).stderr).toBe('')
})

test('a progress line is replaced by what comes after it', () => {
  const written: string[] = []
  const stream = (isTTY: boolean): NodeJS.WriteStream =>
    ({
      isTTY,
      on: () => {},
      write: (text: string) => written.push(text),
    }) as unknown as NodeJS.WriteStream
  const output = new Output({
    stdout: stream(false),
    stderr: stream(true),
    json: false,
    quiet: false,
    color: false,
    onClosed: () => {},
  })
  output.transient('half')
  output.note('done')
  expect(written).toEqual(['\r\u001B[2Khalf', '\r\u001B[2K', 'done\n'])
})

test('reading is stopped by Ctrl-C', async () => {
  const child = spawn(process.execPath, [box.bin(), 'put', 'waiting', '-'], {
    cwd: box.dir,
    env: box.env,
  })
  child.stdin.on('error', () => {})
  // More than a pipe holds: when it is written, the program is reading.
  await new Promise((resolve) => child.stdin.write(Buffer.alloc(2 << 20), resolve))
  child.kill('SIGINT')
  expect(await once(child, 'close')).toEqual([130, null])
  expect(await box.fails(['get', 'waiting'])).toMatchObject({ exit: 10 })
})

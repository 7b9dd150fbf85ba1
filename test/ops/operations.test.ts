/** docs/OPERATIONS.md and the examples: what they tell people to type is there. */
import { execFile } from 'node:child_process'
import { access, mkdir, readFile, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CommanderError } from 'commander'
import { describe, expect, test } from 'vitest'
import { buildProgram } from '../../src/cli/program.ts'
import { SETTING_NAMES } from '../../src/config/schema.ts'
import { makeKit, parseJson, SCRIPTS } from './kit.ts'
import { commandsIn } from './shell-words.ts'

const run = promisify(execFile)
const DOCS = fileURLToPath(new URL('../../docs', import.meta.url))
const page = await readFile(join(DOCS, 'OPERATIONS.md'), 'utf8')

/** The command that a script calls with the options it is given. */
const COMMAND_OF: Readonly<Record<string, string>> = {
  cairn: '',
  'build-snapshot.sh': 'build-snapshot',
  'export-car.sh': 'export-car',
  'restore-from-car.sh': 'restore-car',
  'cleanup-old-snapshots.sh': 'prune',
}

function blocks(text: string, language: string): string[] {
  const fence = new RegExp(`^( *)\`\`\`${language}\\n(.*?)^\\1\`\`\``, 'gms')
  return [...text.matchAll(fence)].map(([, indent = '', code = '']) =>
    code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  )
}

/** The arguments of Cairn's commands in a piece of shell. */
function calls(shell: string): string[][] {
  return commandsIn(shell).flatMap((words) => {
    const [program = '', ...args] = words.slice(words.findIndex((word) => !/^\w+=/.test(word)))
    const command = COMMAND_OF[program.split('/').at(-1) ?? '']
    if (command === undefined) return []
    return [[...(command === '' ? [] : [command]), ...args]]
  })
}

/** What is wrong with a call, as the command line itself judges it. */
async function problemOf(args: readonly string[]): Promise<string | undefined> {
  let called = ''
  const program = buildProgram(({ name }) => {
    called = name
    return Promise.resolve()
  })
  program.configureOutput({ writeOut: () => {}, writeErr: () => {} })
  try {
    await program.parseAsync([...args], { from: 'user' })
    // The command `car` alone takes any word for the name of a tool.
    return called === 'car' ? `no such tool: cairn ${args.join(' ')}` : undefined
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? undefined : `${error.code}: cairn ${args.join(' ')}`
  }
}

async function problemsOf(all: readonly (readonly string[])[]): Promise<string[]> {
  const problems = await Promise.all(all.map(problemOf))
  return problems.filter((one) => one !== undefined)
}

test('every command in a code block is one that the command line takes', async () => {
  const all = blocks(page, 'sh').flatMap(calls)
  expect(all.length).toBeGreaterThan(60)
  expect(await problemsOf(all)).toEqual([])
})

test('the check finds commands and options that are not there', async () => {
  const wrong = 'cairn bild\ncairn list --nix; x=$(cairn get --at)\n"$(cairn car verifi)"'
  expect(await problemsOf(calls(wrong))).toHaveLength(4)
})

test('every command in the text has a name and options that are there', async () => {
  const inline = [...page.matchAll(/`((?:\$KIT\/)?[a-z-]*(?:cairn|\.sh) [^`\n]+)`/g)].flatMap(
    ([, text = '']) => calls(text),
  )
  expect(inline.length).toBeGreaterThan(60)
  const problems = await problemsOf(inline)
  // A text may leave out what has to follow.
  expect(problems.filter((one) => !/issingArgument|issingMandatory/.test(one))).toEqual([])
})

test('every script that is named is there, and every one there is named', async () => {
  // Those of docs/DEPLOY.md are looked after by its own tests.
  const others = ['common.sh', 'docker-entrypoint.sh', 'kubo-init.sh', 'smoke.sh']
  const named = new Set([...page.matchAll(/[a-z-]+\.sh\b/g)].map(([name]) => name))
  const there = new Set((await readdir(SCRIPTS)).filter((name) => name.endsWith('.sh')))
  for (const other of others) for (const names of [named, there]) names.delete(other)
  expect([...named].sort()).toEqual([...there].sort())
})

test('every link leads somewhere', async () => {
  const anchor = (heading: string): string =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .trim()
      .replaceAll(/\s/g, '-')
  for (const [, path = '', hash = ''] of page.matchAll(/\]\((?!https?:)([^)#]*)#?([^)]*)\)/g)) {
    const target = path === '' ? 'OPERATIONS.md' : path
    await access(join(DOCS, target))
    if (hash === '') continue
    const headings = (await readFile(join(DOCS, target), 'utf8')).matchAll(/^#+ (.*)$/gm)
    expect([...headings].map(([, heading = '']) => anchor(heading))).toContain(hash)
  }
})

test('the settings of the example are settings', () => {
  const [json = '{}'] = blocks(page, 'json')
  expect(SETTING_NAMES).toEqual(expect.arrayContaining(Object.keys(JSON.parse(json) as object)))
})

test('the figures of "Sizing" are those of docs/BENCHMARKS.md', async () => {
  const benchmarks = await readFile(join(DOCS, 'BENCHMARKS.md'), 'utf8')
  const measured = (name: string): number => {
    const row = benchmarks.split('\n').find((line) => line.startsWith(`| ${name} `))
    return Number(row?.split('|')[2]?.replaceAll(/[^\d.]/g, ''))
  }
  const text = page.slice(page.indexOf('## Sizing'), page.indexOf('## Troubleshooting'))
  const told = (value: number, digits: number): void =>
    expect(text).toContain(value.toFixed(digits))
  told(measured('build, 5000 updates spread over 100000') / 1000, 2)
  told(measured('build, 5000 updates spread over 1000000') / 1000, 2)
  told(measured('full fold, 10000000') / 1000, 1)
  told(measured('bulk load, 1000000') / 1000, 1)
  told(measured('kubo: build 10000 new onto 0') / 1000, 2)
  told(measured('kubo: build 5000 new onto 100000') / 1000, 1)
  told(measured('kubo: bulk load with content, 100000') / 1000, 1)
})

describe('the examples', () => {
  const examples = join(SCRIPTS, 'examples')

  test('every line of the crontab has a time and a command that is there', async () => {
    const lines = (await readFile(join(examples, 'crontab.example'), 'utf8')).split('\n')
    const jobs = lines.filter((line) => /^#?[\d*]/.test(line)).map((line) => line.replace(/^#/, ''))
    expect(jobs).toHaveLength(11)
    for (const job of jobs) expect(job).toMatch(/^([\d*/,-]+ ){4}[\d*/,-]+ +\S+\/\S+/)
    const all = jobs.flatMap((job) => calls(job.replace(/^(\S+ +){5}/, '')))
    expect(all).toHaveLength(jobs.length - 1)
    expect(await problemsOf(all)).toEqual([])
    // An unescaped % would end the command.
    expect(lines.some((line) => line.includes('%') && !line.startsWith('#'))).toBe(false)
  })

  test('every timer has a service, and every service a command that is there', async () => {
    const folder = join(examples, 'systemd')
    const names = await readdir(folder)
    const services = names.filter((name) => /^cairn-\w+\.service$/.test(name))
    expect(services).toHaveLength(6)
    const all: string[][] = []
    for (const name of services) {
      expect(names).toContain(name.replace('.service', '.timer'))
      const unit = await readFile(join(folder, name), 'utf8')
      all.push(...calls(/^ExecStart=(.*)$/m.exec(unit)?.[1] ?? ''))
    }
    expect(all).toHaveLength(5)
    expect(await problemsOf(all)).toEqual([])
  })
})

test('the disaster drill works as it stands on the page', async () => {
  const kit = await makeKit()
  try {
    const chapter = page.slice(page.indexOf('## The disaster drill'), page.indexOf('## Restoring'))
    const phases = blocks(chapter, 'sh')
    expect(phases).toHaveLength(6)
    const tools = kit.box.path('tools')
    await mkdir(tools)
    await symlink(kit.box.bin(), join(tools, 'cairn'))
    await symlink(process.execPath, join(tools, 'node'))
    const env = {
      PATH: `${tools}:/usr/bin:/bin`,
      KIT: kit.scripts,
      CAIRN_DATA_DIR: kit.box.path('live'),
    }
    const input = Array.from({ length: 30 }, (_, i) => `{"pi":"user:${i}","value":${i}}\n`).join('')
    await kit.box.ok(['import', '-'], { env, input })
    await kit.box.ok(['build-snapshot'], { env })
    await kit.box.ok(['put', 'user:1', '--value', '{"version":2}'], { env })
    const script = phases.join('\n').replaceAll('/srv/drill', kit.box.path('spare'))
    const { stdout } = await run('sh', ['-euc', script], { cwd: kit.box.dir, env })
    expect(stdout).toContain('"status":"already_restored"')
    expect(stdout).toContain('✓ Entity fully accessible!')
    expect(stdout).toContain('"the drill was here"')
    const [before, after] = await Promise.all(
      ['status.json', 'status-restored.json'].map(async (name) =>
        parseJson(await kit.box.read(join('drill', name))),
      ),
    )
    const { root, snapshot_count, next } = before ?? {}
    expect(after).toMatchObject({ root, snapshot_count, next, total_count: 30 })
    expect(before).toMatchObject({ root: expect.any(String), next: 31, total_count: 30 })
  } finally {
    await kit.box.remove()
  }
})

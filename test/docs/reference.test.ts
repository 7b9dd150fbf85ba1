/** What is made from the code is as the code says: the reference, the man pages, the completions. */
import { execFile, execFileSync } from 'node:child_process'
import { access, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { buildProgram, defineCommand } from '../../src/cli/program.ts'
import { ERROR_CODES } from '../../src/errors.ts'
import { builtDist } from '../helpers/built.ts'
import { readPage, ROOT } from './run-page.ts'

const run = promisify(execFile)

let made: string

beforeAll(async () => {
  made = await mkdtemp(join(tmpdir(), 'cairn-reference-'))
  await run(process.execPath, [
    `${ROOT}scripts/man.mjs`,
    '--dist',
    await builtDist(),
    '--out',
    made,
  ])
})

afterAll(() => rm(made, { recursive: true, force: true }))

test('the pages of the reference are made from the code as it is', async () => {
  const args = [`${ROOT}scripts/docs.mjs`, '--check', '--dist', await builtDist()]
  const checked = run(process.execPath, args, { cwd: ROOT })
  await expect(checked.catch((error: { stderr: string }) => error.stderr)).resolves.toMatchObject({
    stdout: 'the reference is as the code says\n',
  })
})

test('the exit codes of docs/CLI.md are those of the errors', async () => {
  const page = await readPage('docs/CLI.md')
  const rows = [...page.matchAll(/^\| ([\d, ]+) +\| .* \|$/gm)].flatMap(([, codes = '']) =>
    codes.split(',').map(Number),
  )
  const codes = new Set([0, 143, ...Object.values(ERROR_CODES).map(({ exit }) => exit)])
  expect(rows.toSorted((a, b) => a - b)).toEqual([...codes].toSorted((a, b) => a - b))
})

/** Each command and its tools, with its flags. */
async function commands(): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>()
  const walk = async (parent: ReturnType<typeof buildProgram>, path: string[]): Promise<void> => {
    for (const command of parent.commands.filter((one) => one.name() !== 'help')) {
      await defineCommand(command)
      const here = [...path, command.name()]
      all.set(
        here.join(' '),
        command.options.flatMap(({ long }) => long ?? []),
      )
      await walk(command, here)
    }
  }
  await walk(
    buildProgram(() => Promise.resolve()),
    [],
  )
  return all
}

test('every command has a man page, with its options', async () => {
  const all = await commands()
  const names = [...all.keys()].map((path) => `cairn-${path.replaceAll(' ', '-')}.1`)
  expect((await readdir(join(made, 'man'))).toSorted()).toEqual(['cairn.1', ...names].toSorted())
  for (const [path, flags] of all) {
    const page = await readFile(join(made, 'man', `cairn-${path.replaceAll(' ', '-')}.1`), 'utf8')
    const plain = page.replaceAll('\\-', '-')
    expect(flags.filter((flag) => !plain.includes(flag))).toEqual([])
    for (const part of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXAMPLES'])
      expect([path, page.includes(`\n.SH ${part}\n`)]).toEqual([path, true])
  }
  const main = await readFile(join(made, 'man', 'cairn.1'), 'utf8')
  for (const { name } of COMMANDS)
    expect(main).toContain(`cairn\\-${name.replaceAll('-', '\\-')}\\fR(1)`)
})

test('no man page has text left that is Markdown, or a line that roff takes for a command', async () => {
  const known = /^\.(TH|SH|SS|PP|TP|IP|RS|RE|nf|fi|br|B|I) ?|^\.(PP|TP|RE|nf|fi|br)$|^\.ad l$/
  const problems: string[] = []
  for (const name of await readdir(join(made, 'man')))
    for (const line of (await readFile(join(made, 'man', name), 'utf8')).split('\n')) {
      if (line.startsWith("'") || (line.startsWith('.') && !known.test(line)))
        problems.push(`${name}: ${line}`)
      if (/\]\(|^```|<!--|^\|/.test(line)) problems.push(`${name}: ${line}`)
    }
  expect(problems).toEqual([])
})

test('groff has nothing to say about the man pages', async () => {
  const groff = await access('/usr/bin/groff').then(
    () => true,
    () => false,
  )
  // Where it is not installed, the test above is what there is.
  if (!groff) return
  const pages = (await readdir(join(made, 'man'))).map((name) => join(made, 'man', name))
  for (const page of pages) {
    const { stderr } = await run('groff', ['-ww', '-man', '-Tutf8', '-z', page])
    expect(stderr).toBe('')
  }
})

test('the completions of every shell know every command and every option', async () => {
  const all = await commands()
  for (const name of ['cairn.bash', '_cairn', 'cairn.fish']) {
    const script = await readFile(join(made, 'completions', name), 'utf8')
    for (const [path, flags] of all) {
      expect(script).toContain(path.split(' ').at(-1))
      const missing = flags.filter(
        (flag) => !script.includes(flag) && !script.includes(`-l ${flag.slice(2)}`),
      )
      expect([name, path, missing]).toEqual([name, path, []])
    }
  }
  const bash = await readFile(join(made, 'completions', 'cairn.bash'), 'utf8')
  for (const [path, flags] of all) {
    const offered = new RegExp(`^ +"${path}"\\) flags="(.*)" ;;$`, 'm').exec(bash)?.[1]?.split(' ')
    expect([path, flags.filter((flag) => offered?.includes(flag) !== true)]).toEqual([path, []])
  }
  execFileSync('bash', ['-n', join(made, 'completions', 'cairn.bash')])
})

/**
 * The examples of the commands, which `--help`, docs/CLI.md and the man pages show: each is run, in a folder where
 * what it names is there.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile, chmod, symlink } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { blocksOf, isRun } from './blocks.ts'
import { readPage, ROOT } from './run-page.ts'
import { TOOLS } from './tools.ts'

const run = promisify(execFile)

/** The examples that are not run, and why. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'cairn serve': 'does not end; test/docs/guides.test.ts runs it',
  'cairn serve --port 8080 --save-interval 120': 'does not end',
  'cairn serve --host 0.0.0.0 --behind-proxy': 'does not end',
  'cairn top --url http://127.0.0.1:3000': 'needs a service: test/cli has one',
  'cairn import-arke kubo:http://127.0.0.1:5001': 'needs a node of that system: test/arke',
  'cairn recover': 'needs a node that lost its files: test/resources',
  'cairn recover --yes': 'the same',
  'cairn recover --commit bafkrei... --yes': 'the same',
  'cairn selftest --kill': 'minutes: test/cli/selftest.test.ts',
  'cairn selftest --kill --only build --rounds 10': 'minutes',
  'cairn pins sync': 'needs a cluster: test/cluster',
  'cairn pins sync --wait 10m': 'the same',
  'cairn pins sync --wait 10m --quiet': 'the same',
  'cairn pins sync --pin-min 3 --pin-max 5': 'the same',
  'cairn pins status': 'the same',
  'cairn pins status --quiet': 'the same',
  'cairn pins release': 'the same',
  'cairn pins release --all': 'the same',
  'cairn sync kubo:http://other:5001 --follow': 'does not end: test/cli/replicas.test.ts',
  'cairn sync --from https://cairn.example.org --follow': 'the same',
  'cairn rejoin lmdb:/mnt/new/copy': 'needs a primary that was replaced: test/cli/replicas.test.ts',
  'cairn rejoin lmdb:/mnt/new/copy --report conflicts.ndjson': 'the same',
  'cairn completion fish | source': 'is for fish',
  ...Object.fromEntries(
    [
      'cairn restore-car s3://BUCKET/cairn',
      'cairn drill --from s3://BUCKET/cairn',
      'cairn offsite push --to s3://BUCKET/cairn',
      'cairn offsite push --verify',
      'cairn offsite push --all',
      'cairn offsite list',
      'cairn offsite list --json',
      'cairn offsite pull',
      'cairn offsite pull seq:7 --into fetched',
      'cairn offsite pull main-7-....car',
      'cairn offsite prune --dry-run',
      'cairn offsite prune --keep-offsite daily=7,monthly=12',
    ].map((line) => [line, 'needs a bucket: test/offsite has one']),
  ),
}

/** What an example may end with besides 0: a check that finds something, as it should here. */
const ENDS: Readonly<Record<string, readonly number[]>> = {
  'cairn health': [18],
  'cairn health -d main --quiet': [18],
  'cairn health --json --skip disk --skip drill': [18],
  'cairn coverage': [18],
  'cairn coverage --since 2026-01-01T00:00:00Z --json': [18],
}

/** What has to go before an example, which makes it. */
const BEFORE: Readonly<Record<string, string>> = {
  'cairn init --content external': 'rm -r .cairn',
  'cairn init --meta \'{"owner":"me"}\' --tag first': 'rm -r .cairn',
  'cairn import-arke old.car --content external': 'rm -r .cairn',
  'cairn export --values --out entities.ndjson': 'rm entities.ndjson',
  'cairn token create app --right append': 'cairn token revoke app',
}

const SETUP = `
set -eu
echo bytes > page.tiff; mkdir dir; echo bytes > dir/one; echo '{"title":1}' > meta.json
echo '{"pi":"a","value":1}' > entities.ndjson
cairn put scan-7 page.tiff; cairn put scan-7 --value 2; cairn put greeting --value '{"hello":"world"}'
cairn put scan-8 page.tiff --ver 1; cairn put map/users/ada --value 1
for map in users tokens; do cairn put "maps/$map" --value '{"schema":"cairn/map@1","kind":"named","ttl_ms":null}'; done
cairn put map/users/alice --value 1; cairn append map/users/alice --delete
cairn build-snapshot --tag release; cairn put scan-7 --value 3; cairn build-snapshot; cairn put scan-9 --value 9
cairn build-snapshot; cairn export-car --out full.car --snapshot latest~1
cairn export-car --out delta.car --since latest~1
cp full.car base.car; cp full.car monday.car; cp delta.car tuesday.delta
cairn export-car --out tuesday.car; cp tuesday.car a.car; cp tuesday.car b.car; cp tuesday.car backup.car
cairn export-car
age-keygen -o key.txt
cairn export-car --out b.car.age --encrypt-to "$(age-keygen -y key.txt)"
cairn verify
cairn token create app --right append
mkdir -p backups .zfunc; cp a.car backups/main-7-1.car; cp "$ROOT/fixtures/arke/head-20.car" old.car
cp old.car backups/arke-42.car
cairn list --limit 1 --json | sed 's/.*"next_cursor":"\\([^"]*\\)".*/\\1/' > cursor
cairn get greeting --json | sed 's/.*"tip":"\\([^"]*\\)".*/\\1/' > tip
date +%s%3N > now
cairn export --layout radish --out json
`

/** What is in an example stands for something of the folder. */
function here(line: string, found: Found): string {
  return line
    .replaceAll('bafyrei...', found.tip)
    .replaceAll('CURSOR', found.cursor)
    .replaceAll(/2026-0\d-01T\d\d:00:00Z/g, found.now)
    .replaceAll('main-7-....car', 'main-7-1.car')
    .replaceAll('age1...', found.recipient)
    .replaceAll(/seq:\d|--seq \d/g, (one) => one.replace(/\d/, one.includes('7') ? '2' : '1'))
    .replace('rollback seq:2', 'rollback seq:1')
    .replaceAll('--commit 41', '--commit 2')
    .replaceAll('lmdb:old', 'lmdb:.cairn/store')
    .replaceAll('a.car,kubo:http://other:5001', 'a.car,full.car')
    .replaceAll('~/.zfunc', '.zfunc')
    .replaceAll('/mnt/new', '.')
    .replaceAll('--budget 5m', '--budget 1s')
}

interface Found {
  readonly tip: string
  readonly cursor: string
  readonly now: string
  readonly recipient: string
}

let box: Sandbox
let scene: string
let found: Found
let env: Record<string, string>

beforeAll(async () => {
  box = await Sandbox.make()
  const home = await mkdtemp(join(tmpdir(), 'cairn-examples-'))
  const bin = join(home, 'tools')
  scene = join(home, 'scene')
  await mkdir(bin)
  await mkdir(scene)
  const tools = {
    ...TOOLS,
    cairn: '#!/bin/sh\nexec "$NODE" "$CAIRN" "$@"\n',
    producer: `#!/bin/sh\necho '{"pi":"produced","value":1}'\n`,
    ssh: '#!/bin/sh\nshift\nexec sh -c "$*"\n',
  }
  for (const [name, text] of Object.entries(tools)) {
    await writeFile(join(bin, name), text)
    await chmod(join(bin, name), 0o755)
  }
  await symlink(process.execPath, join(bin, 'node'))
  env = {
    ...box.env,
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    NODE: process.execPath,
    CAIRN: box.bin(),
    RUN: home,
    ROOT,
  }
  await run('sh', ['-c', SETUP], { cwd: scene, env })
  const read = async (name: string): Promise<string> =>
    (await readFile(join(scene, name), 'utf8')).trim()
  const { stdout } = await run('sh', ['-c', 'age-keygen -y key.txt'], { cwd: scene, env })
  found = {
    tip: await read('tip'),
    cursor: await read('cursor'),
    now: await read('now'),
    recipient: stdout.trim(),
  }
})

afterAll(async () => {
  await box.remove()
  await rm(join(scene, '..'), { recursive: true, force: true })
})

/** Of docs/CLI.md, without what they say about themselves. */
async function examples(): Promise<string[]> {
  const blocks = blocksOf(await readPage('docs/CLI.md'))
  const made = blocks.filter(isRun)
  const lines = made.flatMap(({ code }) => code.trimEnd().split('\n'))
  return [...new Set(lines.map((line) => line.replace(/ +# .*$/, '')))]
}

/** In a copy of the scene; what is wrong, if it is. */
async function problemOf(line: string, n: number): Promise<string | undefined> {
  const dir = join(scene, '..', `run-${n}`)
  await cp(scene, dir, { recursive: true })
  try {
    // Process substitution is of bash.
    const script = `${BEFORE[line] ?? ':'} && ${here(line, found)}`
    await run('bash', ['-c', script], { cwd: dir, env, timeout: 60_000 })
    return undefined
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string }
    return ENDS[line]?.includes(code) === true ? undefined : `${line}: ${code}: ${stderr}`
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

test('every example of a command works', { timeout: 300_000 }, async () => {
  const all = await examples()
  expect(all.length).toBeGreaterThan(100)
  expect(Object.keys(NOT_RUN).filter((line) => !all.includes(line))).toEqual([])
  const lines = all.filter((line) => NOT_RUN[line] === undefined).entries()
  const problems: string[] = []
  const work = async (): Promise<void> => {
    for (const [n, line] of lines) {
      const problem = await problemOf(line, n)
      if (problem !== undefined) problems.push(problem)
    }
  }
  await Promise.all([work(), work(), work()])
  expect(problems).toEqual([])
})

/**
 * Runs what a document tells people to type, in its order, in one shell and a folder of its own: every block of `sh`
 * that is not marked, each file that the reader is told to keep. What the document says is printed must be.
 */
import { spawn } from 'node:child_process'
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Sandbox } from '../cli/sandbox.ts'
import { kuboBinary } from '../helpers/kubo-node.ts'
import { freePort } from '../helpers/free-port.ts'
import { asShown, blocksOf, isRun, type Block } from './blocks.ts'
import { TOOLS } from './tools.ts'

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

export const readPage = (page: string): Promise<string> => readFile(join(ROOT, page), 'utf8')

export interface PageOptions {
  /** Chapters that are run; all of them unless given. */
  readonly chapters?: (chapter: string) => boolean
  /** What the code of a block is on this machine: what stands for something there is replaced. */
  readonly here?: (code: string) => string
  /** Shell that is run before the page begins. */
  readonly before?: string
  /** Shell that is run before a block, by a text that is in it. */
  readonly beforeBlock?: Readonly<Record<string, string>>
  /** Programs of the name, as shell. */
  readonly tools?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly kubo?: { readonly url: string }
  /** The folder is that of a clone. */
  readonly clone?: boolean
}

export interface PageRun {
  readonly dir: string
  /** What each block has printed, by its number among those that ran. */
  readonly outputs: readonly string[]
  readonly stdout: string
}

/** Rejects with the line of the document at which it failed, or where other things were printed than it says. */
export async function runPage(page: string, options: PageOptions = {}): Promise<PageRun> {
  const box = await Sandbox.make()
  const dir = box.path()
  try {
    const blocks = blocksOf(await readPage(page)).filter(
      (block) => options.chapters?.(block.chapter) ?? true,
    )
    const { env, here } = await surroundings(box, options)
    const script = scriptOf(blocks, options, here)
    await writeFile(join(dir, '..', 'page.sh'), script)
    const { code, stderr } = await shell(join(dir, '..', 'page.sh'), dir, env)
    const outputs = await outputsOf(blocks, join(dir, '..', 'out'))
    if (code !== 0) {
      const at = await readFile(join(dir, '..', 'out', 'at'), 'utf8').catch(() => 'its beginning')
      const said = outputs.at(-1) ?? ''
      throw new Error(
        `${page}, the block at line ${at.trim()} ended with ${code}:\n${stderr}\n${said}`,
      )
    }
    compare(page, blocks, outputs)
    return { dir, outputs, stdout: outputs.join('') }
  } finally {
    await endServices(dir)
    if (process.env['KEEP_PAGES'] === undefined) await box.remove()
  }
}

type Here = (code: string) => string

async function surroundings(
  box: Sandbox,
  { here: more = (code) => code, tools = {}, env = {}, kubo, clone = false }: PageOptions,
): Promise<{ readonly env: Record<string, string>; readonly here: Here }> {
  const dir = box.path()
  const home = join(dir, '..')
  const bin = join(home, 'tools')
  await mkdir(bin)
  await mkdir(join(home, 'out'))
  for (const [name, text] of Object.entries({ ...TOOLS, ...tools })) {
    await writeFile(join(bin, name), text)
    await chmod(join(bin, name), 0o755)
  }
  await symlink(process.execPath, join(bin, 'node'))
  if (clone) {
    for (const name of ['fixtures', 'scripts']) await symlink(join(ROOT, name), join(dir, name))
    await copyFile(join(ROOT, 'README.md'), join(dir, 'README.md'))
    await mkdir(join(dir, 'bin'))
    await writeFile(join(dir, 'bin', 'cairn'), TOOLS.cairn, { mode: 0o755 })
  }
  const port = String(await freePort())
  return {
    here: (code) =>
      more(code)
        .replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)
        .replaceAll('http://127.0.0.1:5001', kubo?.url ?? 'http://127.0.0.1:5001'),
    env: {
      ...box.env,
      PATH: `${bin}:${box.env['PATH'] ?? ''}`,
      NODE: process.execPath,
      CAIRN: box.bin(),
      CAIRN_PORT: port,
      RUN: join(home, 'out'),
      ROOT,
      ...(kubo === undefined ? {} : { KUBO_URL: kubo.url, KUBO_BIN: await kuboBinary() }),
      ...env,
    },
  }
}

function scriptOf(
  blocks: readonly Block[],
  { before = '', beforeBlock = {} }: PageOptions,
  here: Here,
): string {
  const parts = blocks.map((block) => {
    const first = Object.entries(beforeBlock).flatMap(([text, shell]) =>
      isRun(block) && block.code.includes(text) ? [shell] : [],
    )
    return [...first, partOf(block, here)].join('\n')
  })
  return ['set -eu', before, ...parts, ''].join('\n')
}

const END = 'END_OF_THE_FILE_IN_THE_PAGE'

function partOf(block: Block, here: Here): string {
  const { line, code, file } = block
  if (file !== undefined) return `cat > ${file} <<'${END}'\n${here(code)}${END}`
  return isRun(block) ? `echo ${line} >"$RUN/at"\nexec >"$RUN/${line}.out"\n${here(code)}` : ''
}

async function outputsOf(blocks: readonly Block[], folder: string): Promise<string[]> {
  const outputs: string[] = []
  for (const { line } of blocks.filter(isRun)) {
    const text = await readFile(join(folder, `${line}.out`), 'utf8').catch(() => undefined)
    if (text !== undefined) outputs.push(text)
  }
  return outputs
}

function compare(page: string, blocks: readonly Block[], outputs: readonly string[]): void {
  for (const [n, { line, prints }] of blocks.filter(isRun).entries()) {
    const printed = outputs[n] ?? ''
    if (prints !== undefined && !asShown(prints, printed))
      throw new Error(`${page}, line ${line} says\n${prints}\nbut it is\n${printed}`)
  }
}

async function shell(
  script: string,
  cwd: string,
  env: Record<string, string>,
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const child = spawn('sh', [script], { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const said: Buffer[] = []
  child.stderr.on('data', (part: Buffer) => said.push(part))
  // A service that was started goes on and has its own output; the shell's end is what counts.
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => {
      child.stderr.destroy()
      resolve({ code, stderr: Buffer.concat(said).toString() })
    })
  })
}

async function endServices(dir: string): Promise<void> {
  const pids = await readFile(join(dir, '..', 'out', 'pids'), 'utf8').catch(() => '')
  for (const pid of pids.split('\n').filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
}

/** The checker of recorded histories, a Go program: tools/histories. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const CACHE = 'node_modules/.cache/cairn-histories-checker'
const run = promisify(execFile)

/** The program; built each time, of which the toolchain's own cache makes little. */
export async function builtChecker(): Promise<string> {
  await mkdir(CACHE, { recursive: true })
  const unfinished = resolve(await mkdtemp(join(CACHE, 'new-')))
  const program = resolve(CACHE, 'histories')
  try {
    const args = ['build', '-mod=readonly', '-o', join(unfinished, 'histories'), '.']
    await run('go', args, { cwd: 'tools/histories' })
    await rename(join(unfinished, 'histories'), program)
    return program
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

export interface Judgement {
  /** Nothing was found. */
  readonly good: boolean
  /** Problems, each with the operations that show it, and at the end the counts. */
  readonly text: string
}

/** Judges the histories (`*.ndjson`) in a folder. */
export async function judge(program: string, folder: string): Promise<Judgement> {
  try {
    const { stdout } = await run(program, [folder], { maxBuffer: 1 << 28 })
    return { good: true, text: stdout.trim() }
  } catch (error) {
    const { code, stdout } = error as { code?: unknown; stdout?: string }
    if (code === 1 && stdout !== undefined) return { good: false, text: stdout.trim() }
    throw error
  }
}

/**
 * The file that keeps the memory of one dataset: DATA_DIR/service/DATASET.json, replaced as a whole.
 *
 * Losing it loses when things ran last, never data. So nothing here is fatal: a file that cannot be read
 * is set aside, and one that cannot be written is told of in the log.
 */
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { writeWhole } from '../backup/publish.ts'
import type { Logger } from '../engine/logger.ts'
import { freshMemory, type AutomationMemory } from './memory.ts'
import { parseState, type AutomationState } from './state.ts'

const MAX_BYTES = 1 << 20

export const memoryFolder = (dataDir: string): string => join(dataDir, 'service')

const fileName = (dataset: string): string => `${dataset}.json`

/** The memory of a dataset; a fresh one where there is none, or none that can be read. */
export async function readMemory(
  folder: string,
  dataset: string,
  { log, now }: { readonly log: Logger; readonly now: number },
): Promise<AutomationMemory> {
  const path = join(folder, fileName(dataset))
  try {
    const text = await readBounded(path)
    return text === undefined ? freshMemory(dataset) : parseState(text, dataset)
  } catch (error) {
    const aside = `${path}.damaged-${now}`
    const moved = await rename(path, aside).then(
      () => `It was set aside as ${aside}.`,
      (cause: unknown) => `It cannot be set aside either: ${String(cause)}.`,
    )
    log.error('automation.memory_damaged', {
      dataset,
      path,
      error: String(error),
      message: `What ran last for "${dataset}" is not known: ${path} cannot be read. ${moved}`,
    })
    return freshMemory(dataset)
  }
}

/** The memory of a dataset for those who only look: undefined where there is none. Throws if damaged. */
export async function lookUpMemory(
  dataDir: string,
  dataset: string,
): Promise<AutomationMemory | undefined> {
  const text = await readBounded(join(memoryFolder(dataDir), fileName(dataset)))
  return text === undefined ? undefined : parseState(text, dataset)
}

export async function writeMemory(folder: string, state: AutomationState): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeWhole(folder, fileName(state.dataset), `${JSON.stringify(state, null, 2)}\n`)
}

/** Undefined where there is no such file. */
async function readBounded(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes`)
    return await file.readFile('utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

import { randomBytes } from 'node:crypto'
import { lstat, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { printContent } from '../../content/encode.ts'
import type { Content } from '../../content/read.ts'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError, isCairnError, throwIfAborted, type ErrorCode } from '../../errors.ts'
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { noEntity } from '../find.ts'
import { counted, formatBytes, formatCount, printable } from '../format.ts'
import { fileError, withFiles } from '../../util/file-error.ts'
import { fileNameOf } from './file-name.ts'
import { addCarOptions, withCarDataset } from './open.ts'

export const extract: CommandSpec = {
  examples: [
    ['cairn car extract backup.car --out restored', 'the content of every entity'],
    ['cairn car extract backup.car scan-7 scan-8 --out restored', 'of two'],
    ['cairn cat scan-7 --store car:backup.car', 'of one, to stdout'],
  ],
  writes: true,
  define: (command) => {
    command
      .argument('<file>', 'a CAR')
      .argument('[pi...]', 'ids of entities (all)')
      .requiredOption('--out <dir>', 'the folder for the files, made if it is not there')
      .option('--force', 'replace files that are there')
    addCarOptions(command)
  },
  run: async (context) => {
    const [file, ...pis] = context.args
    await withCarDataset(context, file, async (dataset) => {
      const out = context.options.text('--out') ?? ''
      await mkdir(out, { recursive: true }).catch((cause: unknown) => {
        throw fileError(cause, out, 'written')
      })
      await new Extraction(context, dataset, out).run(pis)
    })
  },
}

/** What is wrong with one content, and no reason to leave the others in the CAR. */
const OF_ONE_CONTENT: ReadonlySet<ErrorCode> = new Set([
  'block_missing',
  'block_mismatch',
  'invalid_block',
  'invalid_content',
])

class Extraction {
  readonly #context: CommandContext
  readonly #dataset: Dataset
  readonly #out: string
  readonly #failures: CairnError[] = []
  #files = 0
  #bytes = 0
  #failed = 0

  constructor(context: CommandContext, dataset: Dataset, out: string) {
    this.#context = context
    this.#dataset = dataset
    this.#out = out
  }

  async run(pis: readonly string[]): Promise<void> {
    const { output, signal, progress } = this.#context
    for await (const { pi, tip } of this.#entries(pis)) {
      throwIfAborted(signal)
      await this.#extract(pi, tip)
      progress.update({ step: 'extract', done: this.#files })
    }
    await output.flush()
    output.note(`extracted ${counted(this.#files, 'file')}, ${formatBytes(this.#bytes)}`)
    if (this.#failed > 0) throw this.#failure()
  }

  async *#entries(
    pis: readonly string[],
  ): AsyncGenerator<{ readonly pi: string; readonly tip: CidBytes }> {
    const { signal } = this.#context
    if (pis.length === 0) {
      for await (const { pi, tip } of this.#dataset.entries({ order: 'asc', signal }))
        if (tip !== null) yield { pi, tip }
      return
    }
    for (const pi of pis) {
      const tip = (await this.#dataset.get(pi, { signal }))?.tip ?? null
      if (tip === null) throw noEntity(pi, this.#dataset.name)
      yield { pi, tip }
    }
  }

  async #extract(pi: string, tip: CidBytes): Promise<void> {
    const { output, signal } = this.#context
    try {
      const content = await this.#dataset.content(tip, { signal })
      const file = join(this.#out, fileNameOf(pi, content.kind))
      const bytes = await this.#write(file, content)
      this.#files += 1
      this.#bytes += bytes
      if (output.json) {
        await output.document({ pi, tip: printCid(tip), file, kind: content.kind, bytes })
      } else await output.line(`${printable(pi)}\t${printable(file)}`)
    } catch (error) {
      if (!isCairnError(error) || !OF_ONE_CONTENT.has(error.code)) throw error
      this.#failed += 1
      this.#failures[0] ??= error
      if (error.code !== 'block_missing') this.#failures[1] ??= error
      output.error(`${output.red('failed:')} ${printable(pi)}: ${error.message}`)
    }
  }

  /** To a temporary file beside it, which gets its name when it is whole. */
  async #write(path: string, content: Content): Promise<number> {
    if (!this.#context.options.switch('--force')) await refuseExisting(path)
    const temporary = join(this.#out, `.${randomBytes(9).toString('hex')}.new`)
    return withFiles(path, async () => {
      try {
        const bytes = await writeNew(temporary, content)
        await rename(temporary, path)
        return bytes
      } catch (error) {
        await rm(temporary, { force: true })
        throw error
      }
    })
  }

  #failure(): CairnError {
    const [first, damaged] = this.#failures
    const many = this.#failed === 1 ? '1 content' : `${formatCount(this.#failed)} contents`
    return new CairnError(
      damaged === undefined ? 'blocks_missing' : 'damage_found',
      `${many} could not be extracted.`,
      {
        hint: 'A CAR made with --content index or tips lacks them; `cairn car verify` tells that from damage.',
        cause: damaged ?? first,
      },
    )
  }
}

async function writeNew(path: string, content: Content): Promise<number> {
  const handle = await open(path, 'wx', 0o600)
  try {
    return await writeContent(handle, content)
  } finally {
    await handle.close()
  }
}

async function writeContent(handle: FileHandle, content: Content): Promise<number> {
  if (content.kind === 'value') {
    const bytes = Buffer.from(`${printContent(content.value)}\n`)
    await handle.writeFile(bytes)
    return bytes.length
  }
  let length = 0
  for await (const part of content.bytes) {
    await handle.writeFile(part)
    length += part.length
  }
  return length
}

/** Also of a link that leads nowhere. */
async function refuseExisting(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined)
  if (there === undefined) return
  throw new CairnError('usage', `The file ${path} is there already.`, {
    hint: 'Name another folder, or replace files with --force.',
    path,
  })
}

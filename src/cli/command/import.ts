import type { BulkReport } from '../../engine/bulk.ts'
import type { Progress } from '../../engine/context.ts'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError, isCairnError } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'
import { writeDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatCount } from '../format.ts'
import { commitBatch, cutBatches, type Cut } from '../import-batches.ts'
import { atLine, parseImportLine, type ImportLine } from '../import-line.ts'
import { openInput, type Input } from '../input.ts'
import { readLines, type Line } from '../lines.ts'
import { importRadish } from '../radish-import.ts'
import { isRadish } from '../radish-layout.ts'

export const importCommand: CommandSpec = {
  examples: [
    ['cairn import entities.ndjson', '{"pi":"a","value":{"x":1}} on each line'],
    ['cairn --store lmdb:old export --values | cairn import -', 'from one store to another'],
    ['producer | cairn import - --ack', 'one line for each entity once it is durable'],
    ['cairn import --layout radish json', 'live maps, from readable JSON files'],
  ],
  writes: true,
  define: (command) =>
    command
      .argument('<file...>', 'NDJSON: {"pi","ver"?,"tip"? or "value"?,"ts"?,"exp"?}; - is stdin')
      .option('--batch <n>', 'commit after every N lines, each batch whole or not at all')
      .option('--ack', 'print {"pi","ver","position"} for each entity when it is durable')
      .option(
        '--layout <layout>',
        'radish: files, or folders of them, with a live map each; of several of one map the newest',
      )
      .option('--map <name>', 'this map alone, with --layout; a file of another is refused')
      .option('--into <name>', 'the one file into this map, whatever it says, with --layout')
      .option('--replace', 'remove the keys that the files lack, with --layout'),
  run: async (context) => {
    const { args, options, signal } = context
    if (isRadish(options, '--map', '--into', '--replace')) return importRadish(context)
    if (args.length > 1) {
      throw new CairnError('usage', 'One file of lines is imported at a time.', {
        hint: 'Several are one stream to `cat`: cat FILE... | cairn import -',
      })
    }
    const batch = options.count('--batch', 1)
    const prompt = options.switch('--ack')
    const input = openInput(args[0] ?? '-', signal)
    try {
      const lines = readLines(input.chunks)
      const told = tellingOf(context, input)
      if (batch === undefined && !prompt) await importAll(told, lines)
      else await importBatches(told, lines, { size: batch, prompt })
    } finally {
      input.close()
    }
  },
}

/** How far reading is, by the bytes of the input: of a file it is known how many there are. */
function tellingOf(context: CommandContext, input: Input): ImportContext {
  const { progress } = context
  const onProgress = (one: Progress): void =>
    progress.update(READS.has(one.step) ? { step: one.step, ...input.read() } : one)
  return { ...context, onProgress }
}

/** Up to here an import goes by batches; a larger one is a bulk load, one commit for all of it. */
const SMALL_LINES = 10_000
const SMALL_CHARS = 32 << 20
const DEFAULT_BATCH = 1000
/** The steps that go through the input once. */
const READS: ReadonlySet<string> = new Set(['read', 'import'])

interface ImportContext extends CommandContext {
  readonly onProgress: (progress: Progress) => void
}

interface Outcome {
  readonly way: 'batches' | 'bulk'
  lines: number
  appended: number
  already: number
  bulk?: BulkReport
}

async function importAll(
  context: ImportContext,
  lines: AsyncIterable<readonly Line[]>,
): Promise<void> {
  const groups = lines[Symbol.asyncIterator]()
  const first: Line[][] = []
  let count = 0
  let chars = 0
  while (count <= SMALL_LINES && chars <= SMALL_CHARS) {
    const next = await groups.next()
    if (next.done === true) {
      // Nothing is committed, and no dataset made, when a line is bad.
      for (const line of first.flat()) parseImportLine(line)
      return importBatches(context, from(first), { size: undefined, prompt: false })
    }
    first.push([...next.value])
    count += next.value.length
    chars += next.value.reduce((sum, { text }) => sum + text.length, 0)
  }
  await writeDataset(context, async (dataset) => {
    await printOutcome(context, await importBulk(context, dataset, rejoined(first, groups)))
  })
}

async function* from(groups: readonly Line[][]): AsyncGenerator<readonly Line[]> {
  yield* groups
}

async function* rejoined(
  first: Line[][],
  rest: AsyncIterator<readonly Line[]>,
): AsyncGenerator<readonly Line[]> {
  for (let group = first.shift(); group !== undefined; group = first.shift()) yield group
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

async function importBatches(
  context: ImportContext,
  lines: AsyncIterable<readonly Line[]>,
  { size, prompt }: Pick<Cut, 'prompt'> & { readonly size: number | undefined },
): Promise<void> {
  const { output, signal, onProgress } = context
  const outcome: Outcome = { way: 'batches', lines: 0, appended: 0, already: 0 }
  await writeDataset(context, async (dataset) => {
    const cut = { size: size ?? (await defaultBatch(context, dataset)), prompt }
    try {
      for await (const batch of cutBatches(lines, cut)) {
        const answers = await commitBatch(dataset, batch, signal)
        outcome.lines += batch.length
        for (const { pi, ver, position, status } of answers) {
          outcome[status] += 1
          if (prompt) await output.document({ pi, ver, position })
        }
        await output.flush()
        onProgress({ step: 'import', done: outcome.lines })
      }
    } catch (error) {
      if (outcome.lines > 0) output.note(`committed before that: ${counted(outcome.lines, 'line')}`)
      throw error
    }
  })
  if (!prompt) await printOutcome(context, outcome)
  else output.note(sentence(outcome))
}

async function defaultBatch({ signal }: CommandContext, dataset: Dataset): Promise<number> {
  const { pointer } = await dataset.status({ signal })
  return Math.min(DEFAULT_BATCH, pointer.settings.chain_limit)
}

async function importBulk(
  context: ImportContext,
  dataset: Dataset,
  groups: AsyncIterable<readonly Line[]>,
): Promise<Outcome> {
  let last: ImportLine | undefined
  let lines = 0
  async function* entries(): AsyncGenerator<ImportLine['entry']> {
    for await (const group of groups) {
      for (const line of group) {
        last = parseImportLine(line) ?? last
        if (last?.number !== line.number) continue
        lines += 1
        yield last.entry
      }
    }
  }
  try {
    const { signal, onProgress } = context
    const bulk = await dataset.bulkLoad(entries(), { signal, onProgress })
    return { way: 'bulk', lines, appended: bulk.appended, already: bulk.already, bulk }
  } catch (error) {
    const ofLine = isCairnError(error, 'invalid_content') || isCairnError(error, 'too_large')
    if (ofLine && error.details['line'] === undefined && last !== undefined)
      throw atLine(error, last.number)
    throw error
  }
}

function sentence({ way, lines, appended, already }: Outcome): string {
  const how = way === 'bulk' ? ' in one commit' : ''
  return `imported ${counted(lines, 'line')}${how}: ${formatCount(appended)} new, ${formatCount(already)} there already`
}

async function printOutcome({ output }: CommandContext, outcome: Outcome): Promise<void> {
  const { way, lines, appended, already, bulk } = outcome
  if (!output.json) return output.line(sentence(outcome))
  await output.document({
    status: 'imported',
    way,
    lines,
    appended,
    already,
    snapshot: bulk === undefined ? null : printCid(bulk.snapshot),
    seq: bulk?.seq ?? null,
  })
}

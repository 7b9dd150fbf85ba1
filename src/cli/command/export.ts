import type { Dataset } from '../../engine/dataset.ts'
import { throwIfAborted } from '../../errors.ts'
import { readDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { Exporter } from '../export-line.ts'
import { counted, formatCount } from '../format.ts'
import { addMoment, momentOf } from '../moment.ts'
import { writeNewFile } from '../new-file.ts'
import { collect } from '../options.ts'
import { exportRadish } from '../radish-export.ts'
import { isRadish } from '../radish-layout.ts'

export const exportCommand: CommandSpec = {
  examples: [
    ['cairn export > entities.ndjson', 'ids, versions and CIDs'],
    ['cairn export --values --out entities.ndjson', 'with the contents'],
    ['cairn export --seq 7 --prefix scan-', 'a part of an earlier state'],
    ['cairn export --layout radish --out json', 'live maps, each a readable JSON file'],
  ],
  define: (command) => {
    command
      .option('--values', 'the contents in the lines, where a line can carry them')
      .option('--out <file>', 'a file instead of stdout; it is there when it is whole')
      .option('--force', 'replace the file if it is there')
      .option('--prefix <text>', 'only ids that begin with it')
      .option('--from <pi>', 'only ids from here on, this one included')
      .option('--to <pi>', 'only ids up to here, this one not included')
      .option('--layout <layout>', 'radish: each live map as a JSON file in the folder of --out')
      .option('--map <glob>', 'of these maps only, with --layout; may be repeated', collect)
      .option('--exclude <glob>', 'not of these maps, with --layout; may be repeated', collect)
    addMoment(command)
  },
  run: async (context) => {
    const { options, output } = context
    if (isRadish(options, '--map', '--exclude')) return exportRadish(context)
    const out = options.text('--out')
    await readDataset(context, async (dataset) => {
      const exporter = new Exporter(dataset, {
        values: options.switch('--values'),
        external: await isExternal(context, dataset),
        signal: context.signal,
      })
      let bytes: number | undefined
      if (out === undefined || out === '-')
        await stream(context, dataset, exporter, (line) => output.line(line))
      else {
        bytes = await writeNewFile(out, options.switch('--force'), (file) =>
          stream(context, dataset, exporter, (line) => file.line(line)),
        )
      }
      await report(context, exporter, out, bytes)
    })
  },
}

async function isExternal({ signal }: CommandContext, dataset: Dataset): Promise<boolean> {
  const { pointer } = await dataset.status({ signal })
  return pointer.settings.content === 'external'
}

async function stream(
  { options, progress, signal }: CommandContext,
  dataset: Dataset,
  exporter: Exporter,
  write: (line: string) => Promise<void>,
): Promise<void> {
  const at = momentOf(options)
  const part = {
    prefix: options.text('--prefix'),
    from: options.text('--from'),
    to: options.text('--to'),
  }
  const isPart = Object.values(part).some((bound) => bound !== undefined)
  const total = isPart ? {} : { total: (await dataset.list({ limit: 1, at, signal })).totalCount }
  const entries = dataset.entries({ order: 'asc', deleted: true, ...part, at, signal })
  for await (const line of exporter.lines(entries)) {
    throwIfAborted(signal)
    await write(line)
    const { counts } = exporter
    // Deletions are not counted beforehand.
    const done = counts.entries - counts.deleted
    if (done % 1000 === 0) progress.update({ step: 'export', done, ...total })
  }
}

async function report(
  { output, options }: CommandContext,
  { counts }: Exporter,
  out: string | undefined,
  bytes: number | undefined,
): Promise<void> {
  const { entries, deleted, values, incomplete } = counts
  if (bytes !== undefined && output.json) {
    await output.document({
      status: 'exported',
      file: out,
      bytes,
      entries,
      deleted,
      values,
      incomplete,
    })
  }
  await output.flush()
  output.note(
    `exported ${counted(entries, 'entity', 'entities')}, ${formatCount(deleted)} of them deleted`,
  )
  if (!options.switch('--values') || incomplete === 0) return
  output.error(
    `${output.yellow('warning:')} ${formatCount(incomplete)} lines do not carry all of their content ` +
      '(files, other codecs, values that link to blocks, or content elsewhere); they name it by its CID.',
  )
}

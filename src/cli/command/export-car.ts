import { Option } from 'commander'
import type { Sidecar } from '../../backup/sidecar.ts'
import { exportToStream } from '../../backup/write-car.ts'
import type { CarSink } from '../../car/writer.ts'
import { CairnError } from '../../errors.ts'
import type { CarContent } from '../../model/checkpoint.ts'
import {
  afterExport,
  exportBackup,
  writeOptions,
  type ExportRecord,
  type ExportTaskOptions,
} from '../../tasks/export.ts'
import { offsiteOf, type OffsiteRecord } from '../../tasks/offsite.ts'
import { durationOption } from '../backup-options.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { counted, formatBytes } from '../format.ts'
import { collect, type Options } from '../options.ts'
import { printRecord, taskBase, withTask } from '../task.ts'

export const exportCar: CommandSpec = {
  examples: [
    ['cairn export-car', "a full backup in the backups folder; prints the CAR's path"],
    ['cairn export-car --keep 7 --quiet', 'for cron: older ones go when it is verified'],
    ['cairn export-car --since seq:7', 'only what is new since snapshot 7'],
    ['cairn export-car --encrypt-to age1...', 'readable with the secret key alone'],
    [`cairn export-car --after 'rclone copy "$1" remote:'`, 'then copied elsewhere'],
    ['cairn export-car --out - | ssh host "cat > b.car"', 'as a stream'],
  ],
  writes: true,
  define: (command) =>
    command
      // A list, so that it is not taken for the setting of the same name.
      .addOption(
        new Option(
          '--content <mode>',
          'full, tips (their own blocks only) or index (none); full unless given',
        ).argParser(collect),
      )
      .option('--since <selector>', 'a delta: only what this kept snapshot does not reach')
      .option('--snapshot <selector>', 'a kept snapshot instead of the current state')
      .option('--v2', 'a CARv2, with an index')
      .option('--out <file>', 'this file instead of one in the backups folder; "-" is stdout')
      .option('--force', 'export even what is there already; replace the file of --out')
      .option(
        '--encrypt-to <recipient>',
        'encrypt to this age public key; may be repeated',
        collect,
      )
      .option('--keep <n>', 'then remove all but the newest N backups of the kind')
      .option('--after <command>', "then run this by the shell; $1 is the CAR's path")
      .option('--after-timeout <time>', 'how long that may take (1h)'),
  run: async (context) => {
    const offsite = offsiteOf(context.config.values)
    const options = { ...exportOptions(context.options), offsite }
    const { file, keep, after } = options
    if (file !== undefined && keep !== undefined) throw notInFolder('--keep')
    if (file === '-') {
      if (after !== undefined) throw notInFolder('--after')
      return printStreamed(context, await stream(context, options))
    }
    // A hook may want the store for itself.
    const done = await withTask(context, (task) => exportBackup(task, options))
    await printRecord(afterExport(taskBase(context), done, options), (record) =>
      print(context, record),
    )
  },
}

function exportOptions(options: Options): ExportTaskOptions {
  return {
    content: contentMode(options),
    since: options.text('--since'),
    snapshot: options.text('--snapshot'),
    v2: options.switch('--v2'),
    encryptTo: options.texts('--encrypt-to'),
    force: options.switch('--force'),
    file: options.text('--out'),
    keep: options.count('--keep', 1),
    after: options.text('--after'),
    afterTimeoutMs: durationOption(options, '--after-timeout'),
  }
}

function notInFolder(flag: string): CairnError {
  return new CairnError('usage', `${flag} cannot be given together with this --out.`, {
    hint:
      flag === '--keep'
        ? 'It is about the backups folder; leave --out away.'
        : 'There is no file that the command could be given; name one with --out.',
  })
}

function contentMode(options: Options): CarContent {
  const mode = options.texts('--content')?.at(-1) ?? 'full'
  if (mode === 'full' || mode === 'tips' || mode === 'index') return mode
  throw new CairnError('usage', `--content cannot be "${mode.slice(0, 60)}".`, {
    hint: 'It is full, tips or index.',
  })
}

async function stream(context: CommandContext, options: ExportTaskOptions): Promise<Sidecar> {
  if (process.stdout.isTTY) {
    throw new CairnError('usage', 'A CAR is not for a terminal.', {
      hint: 'Pipe it into a file or a program, or name a file with --out.',
    })
  }
  return withTask(context, async (task) =>
    exportToStream(await task.cairn.dataset(task.dataset), stdoutSink, writeOptions(task, options)),
  )
}

/** A reader that goes away ends the export: what it has is no CAR. */
const stdoutSink: CarSink = {
  write: (chunk) =>
    new Promise((resolve, reject) => {
      process.stdout.write(chunk, (cause) => {
        if (cause === null || cause === undefined) return resolve()
        const full = 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')
        reject(
          new CairnError(
            full ? 'no_space' : 'aborted',
            `The CAR could not be written to its end: ${cause.message}.`,
            { hint: 'What was written is not a whole CAR.', cause },
          ),
        )
      })
    }),
}

async function print({ output }: CommandContext, record: ExportRecord): Promise<void> {
  if (output.json) return output.document(record)
  for (const path of record.removed) output.note(`removed ${path}`)
  if (record.status === 'already_exported')
    output.note('nothing new: this backup holds the same state')
  output.note(summary(record))
  if (record.offsite !== undefined) output.note(copied(record.offsite))
  await output.line(record.path)
}

function copied({ place, pushed, sent_bytes, forgotten }: OffsiteRecord): string {
  const what =
    pushed === 0 ? 'nothing new' : `${counted(pushed, 'CAR')}, ${formatBytes(sent_bytes)},`
  const gone =
    forgotten === 0 ? '' : `; ${counted(forgotten, 'older copy', 'older copies')} removed`
  return `${what} to ${place}${gone}`
}

/** Stdout is taken. */
async function printStreamed({ output }: CommandContext, sidecar: Sidecar): Promise<void> {
  if (output.json) output.error(JSON.stringify({ status: 'exported', ...sidecar }))
  else output.note(summary(sidecar))
}

function summary(sidecar: Pick<Sidecar, keyof Sidecar>): string {
  const { seq, total_count, recent_count, content, since, blocks, size_bytes, sha256 } = sidecar
  const what = [
    `snapshot ${seq}`,
    counted(total_count, 'entity', 'entities'),
    `${counted(recent_count, 'recent entry', 'recent entries')}`,
    `content ${content}`,
    ...(since === null ? [] : [`needs ${since}`]),
    counted(blocks, 'block'),
    formatBytes(size_bytes),
    `sha256 ${sha256}`,
  ]
  return what.join(', ')
}

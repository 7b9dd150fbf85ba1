import { Option } from 'commander'
import { readBackups, type Backup } from '../../backup/folder.ts'
import { runHook } from '../../backup/hook.ts'
import { planBackupRetention, removeBackup } from '../../backup/retain.ts'
import type { Sidecar } from '../../backup/sidecar.ts'
import {
  exportToFile,
  exportToFolder,
  exportToStream,
  type BackedUp,
  type WriteCarOptions,
} from '../../backup/write-car.ts'
import type { CarSink } from '../../car/writer.ts'
import { CairnError, toCairnError } from '../../errors.ts'
import type { CarContent } from '../../model/checkpoint.ts'
import { durationOption, withFiles } from '../backup-options.ts'
import { longOptions, readDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatBytes } from '../format.ts'
import { collect, type Options } from '../options.ts'

const AFTER_TIMEOUT_MS = 3_600_000

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
    const { options } = context
    const hook = hookOf(context)
    const keep = options.count('--keep', 1)
    const out = options.text('--out')
    if (out !== undefined && keep !== undefined) throw notInFolder('--keep')
    if (out === '-') {
      if (hook !== undefined) throw notInFolder('--after')
      return printStreamed(context, await stream(context))
    }
    const done = await exportNow(context, out)
    const removed = keep === undefined ? [] : await removeOlder(context, done.backup, keep)
    const failure = await hook?.(done.backup)
    await print(context, done, removed)
    if (failure !== undefined) throw failure
  },
}

/** Undefined when it succeeded. */
type Hook = (backup: Backup) => Promise<CairnError | undefined>

function hookOf({ options, signal }: CommandContext): Hook | undefined {
  const command = options.text('--after')
  const timeoutMs = durationOption(options, '--after-timeout') ?? AFTER_TIMEOUT_MS
  if (command === undefined) return undefined
  return async (backup) => {
    try {
      await runHook(command, backup, { timeoutMs, signal })
      return undefined
    } catch (error) {
      return toCairnError(error)
    }
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

function writeOptions(context: CommandContext): WriteCarOptions {
  const { options } = context
  return {
    ...longOptions(context),
    content: contentMode(options),
    since: options.text('--since'),
    snapshot: options.text('--snapshot'),
    version: options.switch('--v2') ? 2 : 1,
    recipients: options.texts('--encrypt-to') ?? [],
    force: options.switch('--force'),
    now: Date.now,
  }
}

function contentMode(options: Options): CarContent {
  const mode = options.texts('--content')?.at(-1) ?? 'full'
  if (mode === 'full' || mode === 'tips' || mode === 'index') return mode
  throw new CairnError('usage', `--content cannot be "${mode.slice(0, 60)}".`, {
    hint: 'It is full, tips or index.',
  })
}

async function exportNow(context: CommandContext, out: string | undefined): Promise<BackedUp> {
  const write = writeOptions(context)
  const { backups_dir } = context.config.values
  return readDataset(context, (dataset) =>
    withFiles(out ?? backups_dir, () =>
      out === undefined
        ? exportToFolder(dataset, backups_dir, write)
        : exportToFile(dataset, out, write),
    ),
  )
}

async function stream(context: CommandContext): Promise<Sidecar> {
  if (process.stdout.isTTY) {
    throw new CairnError('usage', 'A CAR is not for a terminal.', {
      hint: 'Pipe it into a file or a program, or name a file with --out.',
    })
  }
  const write = writeOptions(context)
  return readDataset(context, (dataset) => exportToStream(dataset, stdoutSink, write))
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

async function removeOlder(
  { config, output }: CommandContext,
  made: Backup,
  keep: number,
): Promise<string[]> {
  const { backups_dir } = config.values
  const { backups, unfinished, damaged } = await readBackups(backups_dir)
  for (const path of unfinished) output.note(`has no sidecar, and is not touched: ${path}`)
  for (const { path, reason } of damaged) output.note(`not touched: ${path}: ${reason}`)
  const removed: string[] = []
  // One of the older CARs may be the base of what this version cannot read.
  if (damaged.some(({ unknown }) => unknown !== undefined)) return removed
  for (const { item, keep: stays } of planBackupRetention(
    backups,
    made,
    { last: keep },
    Date.now(),
  )) {
    if (stays) continue
    await withFiles(item.backup.paths.car, () => removeBackup(item.backup))
    removed.push(item.backup.paths.car)
  }
  return removed
}

async function print(
  { output }: CommandContext,
  { status, backup }: BackedUp,
  removed: readonly string[],
): Promise<void> {
  const { sidecar, paths } = backup
  if (output.json) return output.document({ status, ...sidecar, path: paths.car, removed })
  for (const path of removed) output.note(`removed ${path}`)
  if (status === 'already_exported') output.note('nothing new: this backup holds the same state')
  output.note(summary(sidecar))
  await output.line(paths.car)
}

/** Stdout is taken. */
async function printStreamed({ output }: CommandContext, sidecar: Sidecar): Promise<void> {
  if (output.json) output.error(JSON.stringify({ status: 'exported', ...sidecar }))
  else output.note(summary(sidecar))
}

function summary(sidecar: Sidecar): string {
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

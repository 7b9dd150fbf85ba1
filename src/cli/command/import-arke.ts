import { Option } from 'commander'
import {
  importArke,
  type ArkeDataset,
  type ArkeOptions,
  type ArkeReport,
} from '../../arke/import.ts'
import type { Finding, FindingGroup } from '../../arke/report.ts'
import type { OldSource } from '../../arke/source.ts'
import { stripApiPath } from '../../config/store-name.ts'
import { Cairn } from '../../cairn.ts'
import { CairnError } from '../../errors.ts'
import { parseCid } from '../../model/cid.ts'
import { longOptions, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatCount, printable } from '../format.ts'
import { formatTime } from '../../model/time.ts'
import { printOrNull } from '../../model/entry-record.ts'
import { writeNewFile } from '../new-file.ts'
import { collect } from '../options.ts'

export const importArkeCommand: CommandSpec = {
  examples: [
    ['cairn import-arke backups/arke-42.car', 'from a CAR of the old system'],
    ['cairn import-arke kubo:http://127.0.0.1:5001', 'from a live node, with its .tip files'],
    ['cairn import-arke old.car --dry-run --report missing.ndjson', 'only say what is missing'],
    ['cairn import-arke old.car --content external', 'tips as CIDs, without their content'],
  ],
  writes: true,
  define: (command) =>
    command
      .argument('<source>', 'a CAR file, or kubo:URL')
      .option('--pointer <path>', 'the index pointer in the MFS of the node (/arke/index-pointer)')
      .option('--snapshot <cid>', 'this snapshot alone, whatever the pointer or the roots say')
      // A list, so that it is not taken for the setting of the same name, which has no "auto".
      .addOption(
        new Option(
          '--content <mode>',
          'linked, external, or auto: linked if all of it is there',
        ).argParser(collect),
      )
      .option('--skip-missing', 'go on without what is missing')
      .option('--no-history', 'leave older snapshots and events out')
      .option('--test-dataset <name>', 'for the entities of /arke/test (DATASET-test)')
      .option('-n, --dry-run', 'write nothing, say what would be imported and what is missing')
      .option('--report <file>', 'every finding as a line of JSON')
      .option('--force', 'replace the report if it is there'),
  run: async (context) => {
    const { args, options, output } = context
    const report = options.text('--report')
    const name = args[0] ?? ''
    const arke = arkeOptions(context)
    if (report === undefined) return print(context, name, await importFrom(context, name, arke))
    let outcome: ArkeReport | undefined
    let failure: unknown
    await writeNewFile(report, options.switch('--force'), async (file) => {
      const onFinding = (finding: Finding): Promise<void> => file.line(JSON.stringify(finding))
      // An import that stops says why in the report, so the report outlives it.
      outcome = await importFrom(context, name, { ...arke, onFinding }).catch((error: unknown) => {
        failure = error
        return undefined
      })
    })
    if (outcome === undefined) throw failure
    output.note(`report: ${report}`)
    await print(context, name, outcome)
  },
}

function arkeOptions(context: CommandContext): ArkeOptions {
  const { options, config } = context
  const { dataset, chunk_size, chain_limit } = config.values
  const snapshot = options.text('--snapshot')
  return {
    ...longOptions(context),
    pointer: options.text('--pointer'),
    snapshot: snapshot === undefined ? undefined : parseCid(snapshot),
    content: contentMode(options.texts('--content')?.at(-1) ?? 'auto'),
    skipMissing: options.switch('--skip-missing'),
    history: options.switch('--history'),
    dataset,
    testDataset: options.text('--test-dataset') ?? `${dataset}-test`,
    init: { chunkSize: chunk_size, chainLimit: chain_limit },
  }
}

function contentMode(text: string): ArkeOptions['content'] {
  if (text === 'auto' || text === 'linked' || text === 'external') return text
  throw new CairnError('usage', `Content cannot be "${text.slice(0, 100)}".`, {
    hint: 'It is auto, linked or external.',
  })
}

async function importFrom(
  context: CommandContext,
  name: string,
  options: ArkeOptions,
): Promise<ArkeReport> {
  const { source, close } = await openSource(context, name)
  try {
    if (source.files === undefined && options.pointer !== undefined) {
      throw new CairnError('usage', 'A CAR has no index pointer.', {
        hint: 'Name its snapshot with --snapshot, or leave --pointer out.',
      })
    }
    if (context.options.switch('--dry-run')) return await importArke(source, undefined, options)
    return await intoStore(context, source, options)
  } finally {
    await close()
  }
}

async function intoStore(
  { config, log, signal }: CommandContext,
  source: OldSource,
  options: ArkeOptions,
): Promise<ArkeReport> {
  const { openBackend } = await import('../../compose.ts')
  const { store, kubo_token, index_pointer_path, deadline, cache_bytes } = config.values
  const backend = await openBackend(store, {
    create: true,
    kuboToken: kubo_token ?? undefined,
    indexPointerPath: index_pointer_path ?? undefined,
    deadlineMs: deadline,
    signal,
    onBackgroundError: (error) => log.error('background.failed', { message: String(error) }),
  })
  const cairn = new Cairn(backend, { cacheBytes: cache_bytes, log })
  try {
    return await importArke(source, { cairn, backend }, options)
  } finally {
    await cairn.close()
  }
}

interface OpenedSource {
  readonly source: OldSource
  readonly close: () => Promise<void>
}

async function openSource(
  { config, signal, progress }: CommandContext,
  name: string,
): Promise<OpenedSource> {
  if (name.startsWith('kubo:')) {
    const { openOldNode } = await import('../../compose.ts')
    const { kubo_token, kubo_url, deadline } = config.values
    const url = stripApiPath(name === 'kubo:' ? kubo_url : name.slice('kubo:'.length))
    const node = await openOldNode({
      url,
      token: kubo_token ?? undefined,
      deadlineMs: deadline,
      signal,
    })
    return { source: { blocks: node, files: node }, close: async () => node.close() }
  }
  const { CarFile } = await import('../../car/file.ts')
  const car = await CarFile.open(name, { signal, onProgress: progress.update })
  return { source: { blocks: car, roots: car.roots }, close: () => car.close() }
}

async function print(
  { options, output }: CommandContext,
  source: string,
  report: ArkeReport,
): Promise<void> {
  const dry = options.switch('--dry-run')
  for (const group of report.findings) output.note(findingLine(group))
  if (dry && report.stops)
    output.note('an import would stop here: it needs --skip-missing, or --content external')
  if (!output.json) {
    for (const one of report.datasets) await output.line(datasetLine(one, dry))
    return
  }
  const { start, snapshot, read, stops, datasets, findings } = report
  await output.document({
    status: dry ? 'dry_run' : 'imported',
    source,
    pointer: start.pointer?.path ?? null,
    head: printOrNull(start.head ?? null),
    snapshot:
      snapshot === undefined
        ? null
        : {
            cid: printOrNull(snapshot.cid),
            schema: snapshot.schema,
            seq: snapshot.seq ?? null,
            ts: snapshot.ts === undefined ? null : formatTime(snapshot.ts),
            total_count: snapshot.totalCount ?? null,
          },
    read,
    whole: !stops,
    datasets: datasets.map(datasetRecord),
    findings,
  })
}

function findingLine({ kind, text, count, some }: FindingGroup): string {
  const [first] = some
  const where = [first?.pi, first?.cid, first?.detail].filter((one) => one !== undefined)
  return printable(`${kind}: ${formatCount(count)} x ${text} (first: ${where.join(', ')})`)
}

function datasetLine(one: ArkeDataset, dry: boolean): string {
  const what = `${counted(one.entities, 'entity', 'entities')}`
  if (dry) return `would import ${what} into ${one.dataset} (${one.content})`
  const { appended = 0, already = 0, newerThere = 0, leftOut = 0 } = one
  const rest = [
    `${formatCount(appended)} new`,
    `${formatCount(already)} there already`,
    ...(newerThere === 0 ? [] : [`${formatCount(newerThere)} newer there`]),
    ...(leftOut === 0 ? [] : [`${formatCount(leftOut)} left out`]),
  ]
  return `imported ${what} into ${one.dataset} (${one.content}): ${rest.join(', ')}`
}

function datasetRecord(one: ArkeDataset): Record<string, unknown> {
  return {
    dataset: one.dataset,
    content: one.content,
    entities: one.entities,
    appended: one.appended ?? null,
    already: one.already ?? null,
    newer_there: one.newerThere ?? null,
    left_out: one.leftOut ?? null,
    snapshot: printOrNull(one.snapshot ?? null),
    seq: one.seq ?? null,
  }
}

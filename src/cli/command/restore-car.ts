import { stat } from 'node:fs/promises'
import { openCars } from '../../backup/open-cars.ts'
import { factsOf, findCarState, type OpenCar } from '../../car/state.ts'
import type { Cairn } from '../../cairn.ts'
import { CairnError, isCairnError } from '../../errors.ts'
import { fetchSources, type FetchedSources } from '../../offsite/sources.ts'
import { restoreOpened, targetOf, type RestoreRecord } from '../../tasks/restore.ts'
import { identitiesOption } from '../backup-options.ts'
import { longOptions, withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { confirm } from '../confirm.ts'
import { counted, formatCount } from '../format.ts'
import { namedDataset } from '../offsite/place.ts'
import { collect } from '../options.ts'

export const restoreCar: CommandSpec = {
  examples: [
    ['cairn restore-car backups/main-7-....car', 'into a store that lacks the dataset'],
    ['cairn restore-car b.car --dry-run', 'proves all of it, changes nothing'],
    ['cairn restore-car base.car delta.car', 'a base and its deltas, in any order'],
    ['cairn restore-car b.car --as trial', 'beside what is there'],
    ['cairn restore-car b.car --replace --yes', 'in its place; undone by a rollback'],
    ['ssh host cat b.car | cairn restore-car -', 'from stdin'],
    ['cairn restore-car b.car.age --identity key.txt', 'one that is encrypted'],
    ['cairn restore-car s3://BUCKET/cairn', 'the newest copy in a bucket, with its bases'],
  ],
  writes: true,
  define: (command) =>
    command
      .argument(
        '<car...>',
        'files, s3:// addresses, or "-" for stdin; a CID or seq:N behind them is taken as --at',
      )
      .option('--as <name>', 'into this dataset instead of the one that the CAR names')
      .option('--replace', 'put it in the place of what the dataset holds now')
      .option('--at <selector>', 'of several states in the CARs this one: seq:7, a CID')
      .option('--identity <file>', 'secret keys of age; may be repeated', collect)
      .option('-n, --dry-run', 'prove everything and change nothing')
      .option('-y, --yes', 'do not ask'),
  run: async (context) => {
    const { options } = context
    const { sources, at } = await sourcesOf(context)
    const identities = await identitiesOption(context)
    await using fetched = await fetchOffsite(context, sources)
    const opening = { ...longOptions(context), identities, names: fetched.names }
    const opened = await openCars(fetched.sources, opening)
    try {
      const as = targetName(context, opened.cars, at)
      const record = await withTarget(context, async (cairn) => {
        await confirmReplacing(context, cairn, opened.cars, { at, as })
        return restoreOpened({ ...longOptions(context), cairn }, opened.cars, {
          at,
          as,
          replace: options.switch('--replace'),
          dryRun: options.switch('--dry-run'),
        })
      })
      await print(context, record)
    } finally {
      await opened.close()
    }
  },
}

/** Copies in buckets, in files that are gone afterwards. */
async function fetchOffsite(
  context: CommandContext,
  sources: readonly string[],
): Promise<FetchedSources & AsyncDisposable> {
  const { config, output } = context
  const wanted = { dataset: namedDataset(context), fallback: config.values.dataset }
  const fetched = await fetchSources(sources, { ...longOptions(context), ...wanted })
  for (const text of fetched.notes) output.note(text)
  return { ...fetched, [Symbol.asyncDispose]: () => fetched.close() }
}

/** The older interface was `restore-from-car CAR [CID]`. */
async function sourcesOf({
  args,
  options,
}: CommandContext): Promise<{ sources: readonly string[]; at: string | undefined }> {
  const at = options.text('--at')
  const last = args.at(-1) ?? ''
  const isSelector = /^(seq:\d{1,15}|baf[a-z2-7]{5,200})$/.test(last) && !(await isThere(last))
  if (!isSelector || args.length < 2) return { sources: args, at }
  if (at === undefined) return { sources: args.slice(0, -1), at: last }
  throw new CairnError('usage', `Both ${last} and --at ${at} say which state is meant.`, {
    hint: 'Leave one of them out.',
  })
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Without a name that was asked for, the dataset that the CAR names. */
function targetName(
  { options, config }: CommandContext,
  cars: readonly OpenCar[],
  at: string | undefined,
): string | undefined {
  const as = options.text('--as')
  const { dataset } = config.values
  return config.origins.dataset === 'default' ? as : targetOf(cars, { as, at }, dataset)
}

/** A dry run needs no store that is there, and makes none. */
async function withTarget(
  context: CommandContext,
  use: (cairn: Cairn) => Promise<RestoreRecord>,
): Promise<RestoreRecord> {
  if (!context.options.switch('--dry-run')) return withStore(context, true, use)
  try {
    return await withStore(context, false, use)
  } catch (error) {
    if (!isCairnError(error, 'store_not_found')) throw error
    const { config } = context
    const values = { ...config.values, store: 'memory:' }
    return withStore({ ...context, config: { ...config, values } }, true, use)
  }
}

async function confirmReplacing(
  context: CommandContext,
  cairn: Cairn,
  cars: readonly OpenCar[],
  { at, as }: { readonly at: string | undefined; readonly as: string | undefined },
): Promise<void> {
  const { options, signal } = context
  const asks = options.switch('--replace') && !options.switch('--yes')
  if (!asks || options.switch('--dry-run')) return
  const facts = factsOf(findCarState(cars, at))
  const name = as ?? facts.dataset ?? 'main'
  if (!(await cairn.datasets()).includes(name)) return
  const { pointer } = await (await cairn.dataset(name)).status({ signal })
  const now = counted(pointer.total_count, 'entity', 'entities')
  const then = formatCount(facts.totalCount)
  await confirm(context, `"${name}" goes from ${now} to ${then}. Go on?`)
}

async function print({ output }: CommandContext, record: RestoreRecord): Promise<void> {
  if (output.json) return output.document(record)
  const { status, dataset, snapshot, seq, recent_count, total_count, undo } = record
  await output.line(snapshot)
  await output.flush()
  const recent = counted(recent_count, 'recent entry', 'recent entries')
  const what = `snapshot ${seq}, ${counted(total_count, 'entity', 'entities')}, ${recent}`
  if (status === 'already_restored') output.note(`"${dataset}" is in this state already: ${what}`)
  if (status === 'planned') output.note(`all of it is there; "${dataset}" would get ${what}`)
  if (status !== 'restored') return
  output.note(`"${dataset}" is restored: ${what}`)
  if (undo !== null) output.note(`to undo: cairn rollback --commit ${undo} -d ${dataset}`)
}

import { openCars } from '../../backup/open-cars.ts'
import { storeName } from '../../config/store-name.ts'
import { CairnError } from '../../errors.ts'
import { repairDataset, type RepairReport, type RepairSource } from '../../verify/repair.ts'
import { verdictError } from '../../verify/report.ts'
import { identitiesOption } from '../backup-options.ts'
import { longOptions, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatBytes } from '../format.ts'
import { collect } from '../options.ts'
import { withBackend, withLedger } from '../verify-store.ts'
import { problemLine } from './verify.ts'

export const repair: CommandSpec = {
  examples: [
    ['cairn repair --from backups/main-7-....car', 'what verify has listed, from a backup'],
    ['cairn repair --from a.car,kubo:http://other:5001', 'from several copies, in this order'],
    ['cairn repair --from a.car --dry-run', 'only say what would come from where'],
  ],
  writes: true,
  define: (command) =>
    command
      .option(
        '--from <copies>',
        'CAR files, lmdb:DIR, kubo:URL, s3://BUCKET/PREFIX; may be repeated',
        collect,
      )
      .option('--identity <file>', 'secret keys of age; may be repeated', collect)
      .option('-n, --dry-run', 'fetch and prove, put nothing back'),
  run: async (context) => {
    const names = (context.options.texts('--from') ?? []).flatMap((text) => text.split(','))
    if (names.length === 0 || names.includes('')) {
      throw new CairnError('usage', 'A repair needs other copies.', {
        hint: 'Name them with --from: CAR files, lmdb:DIR or kubo:URL, separated by commas.',
      })
    }
    const report = await withLedger(context, (backend, ledgerDir) =>
      withSources(context, names, (sources) =>
        repairDataset(backend, context.config.values.dataset, {
          ...longOptions(context),
          sources,
          dryRun: context.options.switch('--dry-run'),
          ledgerDir,
          log: context.log,
        }),
      ),
    )
    await print(context, report)
    const failure = verdictError(
      report,
      'Name further copies with --from; `cairn verify` says what is damaged.',
    )
    if (failure !== undefined && report.status !== 'planned') throw failure
  },
}

/** Opens all copies, in their order, and closes them whatever happens. */
async function withSources<T>(
  context: CommandContext,
  [name, ...rest]: readonly string[],
  use: (sources: readonly RepairSource[]) => Promise<T>,
): Promise<T> {
  if (name === undefined) return use([])
  const further = (source: RepairSource): Promise<T> =>
    withSources(context, rest, (others) => use([source, ...others]))
  if (/^(lmdb:|kubo(:|$))/.test(name)) {
    const { kubo_url } = context.config.values
    const store = storeName({ store: name, kubo_url })
    return withBackend(
      context,
      (backend) => further({ name, getBlocks: backend.getBlocks.bind(backend) }),
      store,
    )
  }
  const identities = await identitiesOption(context)
  const opened = await openCars([name], { ...longOptions(context), identities })
  try {
    const [car] = opened.cars
    if (car === undefined) throw new CairnError('internal', 'a CAR that is not open')
    return await further({ name, getBlocks: car.getBlocks.bind(car) })
  } finally {
    await opened.close()
  }
}

async function print({ output }: CommandContext, report: RepairReport): Promise<void> {
  for (const note of report.notes) output.note(`note: ${note}`)
  const { status, dataset, verdict, healed, bytes, blocks, counts, problems } = report
  if (output.json) {
    await output.document({
      status,
      dataset,
      verdict,
      healed,
      bytes,
      blocks,
      found: counts,
      problems,
    })
    return
  }
  for (const { cid, kind, state, from } of blocks)
    await output.line(`${from}\t${kind}\t${cid}\twas ${state}`)
  if (status !== 'planned')
    for (const problem of problems) await output.line(`still ${problemLine(problem)}`)
  const what = `${counted(healed, 'block')}, ${formatBytes(bytes)}`
  const done = {
    planned: `would heal ${what}`,
    repaired: `healed ${what}`,
    nothing_listed: 'nothing is listed: `cairn verify` finds what is damaged',
  }
  await output.line(done[status])
  await output.flush()
}

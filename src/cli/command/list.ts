import type { Command } from 'commander'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError } from '../../errors.ts'
import { readDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { entryRow, counted, formatCount } from '../format.ts'
import { entryRecord } from '../../model/entry-record.ts'
import { addMoment, momentOf } from '../moment.ts'
import type { Options } from '../options.ts'

export const list: CommandSpec = {
  examples: [
    ['cairn list', 'the first 100 entities, highest id first'],
    ['cairn list --prefix scan- --order asc --limit 20', 'a range, ascending'],
    ['cairn list --cursor CURSOR', 'the page after one that ended with this cursor'],
    ['cairn list --offset 5000 --json', 'any page, as JSON'],
  ],
  define: (command) => {
    addListOptions(command)
    addMoment(command)
  },
  run: (context) => readDataset(context, (dataset) => printPage(context, dataset)),
}

export function addListOptions(command: Command): void {
  command
    .option('--limit <n>', 'entities on the page, 1 to 10000 (100)')
    .option('--offset <n>', 'how many entities to pass over')
    .option('--cursor <cursor>', 'the next_cursor of the page before')
    .option('--order <order>', 'asc or desc by id (desc)')
    .option('--prefix <text>', 'only ids that begin with it')
    .option('--from <pi>', 'only ids from here on, this one included')
    .option('--to <pi>', 'only ids up to here, this one not included')
}

export async function printPage(
  { options, output, signal }: CommandContext,
  dataset: Dataset,
): Promise<void> {
  const page = await dataset.list({
    limit: options.count('--limit', 1),
    offset: options.count('--offset'),
    cursor: options.text('--cursor'),
    order: orderOf(options),
    prefix: options.text('--prefix'),
    from: options.text('--from'),
    to: options.text('--to'),
    at: momentOf(options),
    signal,
  })
  if (output.json) {
    await output.document({
      items: page.items.map(entryRecord),
      total_count: page.totalCount,
      has_more: page.hasMore,
      next_cursor: page.nextCursor,
    })
    return
  }
  for (const entry of page.items) await output.line(entryRow(entry))
  await output.flush()
  output.note(
    `${formatCount(page.items.length)} of ${counted(page.totalCount, 'entity', 'entities')}`,
  )
  if (page.nextCursor !== null) output.note(`next page: --cursor ${page.nextCursor}`)
}

function orderOf(options: Options): 'asc' | 'desc' | undefined {
  const order = options.text('--order')
  if (order === undefined || order === 'asc' || order === 'desc') return order
  throw new CairnError('usage', `--order cannot be "${order.slice(0, 60)}".`, {
    hint: 'Give asc or desc.',
  })
}

import { CairnError } from '../../errors.ts'
import type { DatasetStatus } from '../../engine/status.ts'
import { canonicalJson } from '../../model/commit.ts'
import { withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { collect } from '../options.ts'

export const init: CommandSpec = {
  examples: [
    ['cairn init', 'make the dataset "main" in ./.cairn/store'],
    ['cairn init --dataset scenes --chunk-size 256', 'small leaves, for scattered updates'],
    ['cairn init --content external', 'tips are CIDs whose content lives elsewhere'],
    [`cairn init --meta '{"owner":"me"}' --tag first`, 'with metadata'],
  ],
  writes: true,
  define: (command) =>
    command
      .option('--meta <json>', 'metadata of the snapshots, a JSON object')
      .option('--tag <tag>', 'a tag of the first snapshot; may be repeated', collect),
  run: async (context) => {
    const { config, options, output } = context
    const { content, chunk_size, chain_limit, dataset: name } = config.values
    const meta = options.object('--meta')
    await withStore(context, true, async (cairn) => {
      const { dataset, created } = await cairn.init(name, {
        content,
        chunkSize: chunk_size,
        chainLimit: chain_limit,
        meta,
        tags: options.texts('--tag'),
      })
      const status = await dataset.status({ signal: context.signal })
      if (!created) refuseOtherSettings(context, status)
      if (output.json) await output.document(record(status, created))
      else
        await output.line(`${created ? 'created' : 'already there'}: ${name} in ${status.location}`)
    })
  },
}

const SETTINGS = ['content', 'chunk_size', 'chain_limit'] as const

function record(status: DatasetStatus, created: boolean): Record<string, unknown> {
  const { content, chunk_size, chain_limit } = status.pointer.settings
  return {
    status: created ? 'created' : 'already_created',
    dataset: status.dataset,
    store: status.location,
    snapshot: status.pointer.latest_snapshot_cid,
    root: status.root,
    content,
    chunk_size,
    chain_limit,
    meta: status.meta,
  }
}

/** What was asked for on purpose and is not so must not look like a success. */
function refuseOtherSettings({ config, options }: CommandContext, status: DatasetStatus): void {
  const there = status.pointer.settings
  for (const name of SETTINGS) {
    const asked = config.origins[name] === 'flag' && config.values[name] !== there[name]
    if (asked) throw different(status, name, String(there[name]))
  }
  const meta = options.object('--meta')
  if (meta !== undefined && canonicalJson(meta) !== canonicalJson(status.meta)) {
    throw different(status, 'metadata', JSON.stringify(status.meta))
  }
}

function different({ dataset }: DatasetStatus, what: string, value: string): CairnError {
  return new CairnError(
    'conflict',
    `The dataset "${dataset}" is there, and its ${what} is ${value}.`,
    {
      hint: 'Settings are fixed when a dataset is made; metadata change with `cairn build-snapshot --meta`.',
    },
  )
}

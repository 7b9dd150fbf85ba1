import type { Cairn } from '../../cairn.ts'
import type { PromoteReport } from '../../engine/replica/promote.ts'
import { isCairnError, toCairnError, type CairnError } from '../../errors.ts'
import { longOptions, withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { confirm } from '../confirm.ts'
import { storeOption } from '../other-store.ts'
import { isService } from '../../remote/address.ts'

export const promote: CommandSpec = {
  examples: [
    ['cairn promote --yes', 'put this replica in the place of its primary'],
    ['cairn promote --primary lmdb:/mnt/old/store --yes', 'which is found there now'],
    ['cairn promote --lost --yes', 'which is gone, or must not be asked'],
  ],
  writes: true,
  define: (command) =>
    command
      .option(
        '--primary <store>',
        'where the primary is; that which the replica names unless given',
      )
      .option('--lost', 'do not look for the primary: it is lost, or cut off')
      .option('-y, --yes', 'do not ask'),
  run: async (context) => {
    const { options } = context
    options.atMostOne('--primary', '--lost')
    await withStore(context, false, async (cairn) => {
      const { dataset } = context.config.values
      const open = await cairn.dataset(dataset)
      if ((await open.head(context)).writable) return print(context, await cairn.promote(dataset))
      const known = (await open.pointer(context)).commit.replica?.of
      const named = options.text('--primary')
      const primary = named === undefined ? known : storeOption(context, named)
      if (!options.switch('--yes'))
        await confirm(context, `"${dataset}" becomes the primary in ${cairn.location}. Go on?`)
      if (primary === undefined || options.switch('--lost'))
        return print(context, await cairn.promote(dataset, longOptions(context)))
      await withPrimary(context, primary, named !== undefined, async (old) =>
        print(context, await cairn.promote(dataset, { ...longOptions(context), primary: old })),
      )
    })
  },
}

/** With the old primary, or without it where it cannot be opened and nobody has said that it is there. */
async function withPrimary(
  context: CommandContext,
  store: string,
  mustBeThere: boolean,
  use: (old: Cairn | undefined) => Promise<void>,
): Promise<void> {
  const { output } = context
  if (isService(store) || store.startsWith('push:')) {
    output.note(`The old primary ${store} is not stopped from here.`)
    return use(undefined)
  }
  let isOpen = false
  try {
    await withStore(
      context,
      false,
      (old) => {
        isOpen = true
        return use(old)
      },
      store,
    )
  } catch (error) {
    if (isOpen || mustBeThere || !isAway(error)) throw error
    output.note(`The old primary ${store} cannot be reached: ${toCairnError(error).message}`)
    await use(undefined)
  }
}

const AWAY = ['backend_unavailable', 'backend_timeout', 'store_not_found'] as const

const isAway = (error: unknown): error is CairnError =>
  AWAY.some((code) => isCairnError(error, code))

async function print({ output }: CommandContext, report: PromoteReport): Promise<void> {
  const { status, dataset, generation, commit, next, fork, fenced, sync } = report
  if (output.json) {
    await output.document({
      status,
      dataset,
      generation,
      commit,
      next,
      fork,
      fenced,
      caught_up: sync?.blocks ?? null,
    })
    return
  }
  if (status === 'already_primary')
    return output.line(`"${dataset}" is the primary already, generation ${generation}.`)
  await output.line(
    `"${dataset}" is the primary now, generation ${generation}, from position ${next} on.`,
  )
  await output.flush()
  output.note(
    fenced
      ? 'The old primary takes no writes any more; `cairn rejoin` there makes it a replica.'
      : 'The old primary does not know: keep it stopped, or let it know this store (CAIRN_REPLICAS) before it writes.',
  )
}

/** What the tools on CARs share: which files they read, and opening them. */
import type { Command } from 'commander'
import type { CarFile } from '../../car/file.ts'
import type { Cairn } from '../../cairn.ts'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError } from '../../errors.ts'
import { longOptions, type CommandContext } from '../command.ts'
import { collect } from '../options.ts'

export function addCarOptions(command: Command): void {
  addIdentityOption(command)
  command.option(
    '--base <file>',
    'for a delta: the CAR it was made on; again for a delta of a delta',
    collect,
  )
}

export function addIdentityOption(command: Command): void {
  command.option('--identity <file>', 'secret keys of age; may be repeated', collect)
}

/** A CAR that a tool was given, and the bases beside it. */
export function sourcesOf({ options }: CommandContext, file: string | undefined): string[] {
  const sources = [...(options.texts('--base') ?? []), file ?? '']
  if (!sources.includes('-')) return sources
  throw new CairnError('usage', 'A CAR cannot be read from stdin here.', {
    hint: 'The tools read it here and there; write it to a file first.',
  })
}

export interface OpenCarsOptions {
  /** Take the index of a CARv2 for granted, which spares reading the file through. */
  readonly trustIndex: boolean
}

/** Opens CARs for `use`, decrypted where they are encrypted, and closes them whatever happens. */
export async function withCars<T>(
  context: CommandContext,
  sources: readonly string[],
  { trustIndex }: OpenCarsOptions,
  use: (cars: readonly CarFile[]) => Promise<T>,
): Promise<T> {
  const { openCars } = await import('../../backup/open-cars.ts')
  const { identitiesOption } = await import('../backup-options.ts')
  const identities = await identitiesOption(context)
  const opened = await openCars(sources, { ...longOptions(context), identities, trustIndex })
  try {
    return await use(opened.cars)
  } finally {
    await opened.close()
  }
}

/** The dataset that a CAR, with its bases, holds. */
export function withCarDataset<T>(
  context: CommandContext,
  file: string | undefined,
  use: (dataset: Dataset) => Promise<T>,
): Promise<T> {
  const sources = sourcesOf(context, file)
  return withCars(context, sources, { trustIndex: true }, async (cars) => {
    const { cairnOfCars } = await import('../../compose.ts')
    const { cache_bytes } = context.config.values
    const cairn = await cairnOfCars(cars, { cacheBytes: cache_bytes, log: context.log })
    try {
      return await use(await onlyDataset(cairn))
    } finally {
      await cairn.close()
    }
  })
}

async function onlyDataset(cairn: Cairn): Promise<Dataset> {
  const [name] = await cairn.datasets()
  return cairn.dataset(name)
}

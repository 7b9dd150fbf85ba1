/** Where the copies are, as the tools of `offsite` are told. */
import type { Command } from 'commander'
import { CairnError } from '../../errors.ts'
import type { CommandContext } from '../command.ts'

export function addPlace(command: Command): Command {
  return command.option('--to <address>', 'the place of the copies instead of the setting offsite')
}

export function placeOf({ options, config }: CommandContext): string {
  const address = options.text('--to') ?? config.values.offsite
  if (address !== null) return address
  throw new CairnError('usage', 'There is no offsite place.', {
    hint: 'Give --to s3://BUCKET/PREFIX, or set CAIRN_OFFSITE.',
  })
}

/** The dataset, where one was named. */
export function namedDataset({ config }: CommandContext): string | undefined {
  return config.origins.dataset === 'default' ? undefined : config.values.dataset
}

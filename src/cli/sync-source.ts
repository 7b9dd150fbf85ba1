/** Where `sync` copies from: a store, or the service that has it open. */
import { transport } from '../client/transport.ts'
import type { FollowedSource } from '../engine/replica/source.ts'
import { addressOf, isService } from '../remote/address.ts'
import { serviceSource } from '../remote/service-source.ts'
import { withStore, type CommandContext } from './command.ts'
import { tokenOf } from './service-token.ts'

export async function withSource<T>(
  context: CommandContext,
  source: string,
  use: (source: FollowedSource) => Promise<T>,
): Promise<T> {
  if (!isService(source)) return withStore(context, false, (cairn) => use(cairn.asSource()), source)
  const url = addressOf(source)
  const token = await tokenOf(context.options)
  return use(serviceSource(url, context.config.values.dataset, transport({ url, token })))
}

/** What `sync` copies to: a store, or the service that has it open. */
import type { ReplicaTarget } from '../engine/replica/target.ts'
import { addressOf, isService } from '../remote/address.ts'
import { serviceTarget } from '../remote/service-target.ts'
import { withStore, type CommandContext } from './command.ts'
import { tokenOf } from './service-token.ts'

export type Copy = Pick<ReplicaTarget, 'location' | 'sync'>

export async function withTarget<T>(
  context: CommandContext,
  target: string,
  use: (copy: Copy) => Promise<T>,
): Promise<T> {
  if (isService(target)) {
    const url = addressOf(target)
    return use(serviceTarget({ url, token: await tokenOf(context.options) }))
  }
  return withStore(
    context,
    true,
    (cairn) =>
      use({
        location: cairn.location,
        sync: (source, dataset, options) => cairn.sync(source, dataset, options),
      }),
    target,
  )
}

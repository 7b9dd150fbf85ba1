/** Stores that a command names beside the configured one. */
import { storeName } from '../config/store-name.ts'
import type { CommandContext } from './command.ts'

/** A store's name as the backends take it. */
export function storeOption({ config }: CommandContext, store: string): string {
  return storeName({ store, kubo_url: config.values.kubo_url })
}

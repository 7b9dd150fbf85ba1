/** What `verify` and `repair` share: the store without opening the dataset, which may be damaged. */
import { join } from 'node:path'
import { openBackend } from '../compose.ts'
import type { Backend } from '../store/backend.ts'
import { withFiles } from '../util/file-error.ts'
import type { CommandContext } from './command.ts'

/** The configured store, and the folder of its ledger. */
export function withLedger<T>(
  context: CommandContext,
  use: (backend: Backend, ledgerDir: string) => Promise<T>,
): Promise<T> {
  const folder = join(context.config.values.data_dir, 'ledger')
  return withBackend(context, (backend) => withFiles(folder, () => use(backend, folder)))
}

export async function withBackend<T>(
  { config, log, signal }: CommandContext,
  use: (backend: Backend) => Promise<T>,
  store: string = config.values.store,
): Promise<T> {
  const { kubo_token, index_pointer_path, deadline } = config.values
  const backend = await openBackend(store, {
    create: false,
    kuboToken: kubo_token ?? undefined,
    indexPointerPath: index_pointer_path ?? undefined,
    deadlineMs: deadline,
    signal,
    onBackgroundError: (error) => log.error('background.failed', { message: String(error) }),
  })
  try {
    return await use(backend)
  } finally {
    await backend.close()
  }
}

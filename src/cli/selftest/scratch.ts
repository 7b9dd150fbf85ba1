/** The folder in which a self-test works: made on the user's disk, removed whatever happens. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { requireSpace } from '../../backup/space.ts'
import { CairnError } from '../../errors.ts'
import { withFiles } from '../../util/file-error.ts'

const PREFIX = 'cairn-selftest-'
const NEEDED_BYTES = 128 << 20

/** `beside`: the folder of a store, which need not be there; the scratch lies on the same disk. */
export async function withScratch<T>(
  { dir, beside }: { readonly dir: string | undefined; readonly beside: string },
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const parent = dir === undefined ? await nearest(dirname(resolve(beside))) : resolve(dir)
  const folder = await withFiles(parent, async () => {
    await requireSpace(parent, NEEDED_BYTES, 'A self-test')
    return await mkdtemp(join(parent, PREFIX))
  })
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The folder, or the nearest one above that is there. */
async function nearest(folder: string): Promise<string> {
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  )
  return isFolder || dirname(folder) === folder ? folder : await nearest(dirname(folder))
}

export function storeFolder(store: string): string {
  if (store.startsWith('lmdb:')) return store.slice('lmdb:'.length)
  throw new CairnError('usage', `A self-test works on a disk, and ${store} is none.`, {
    hint: 'Name a folder of the disk that is to be tested with --dir.',
  })
}

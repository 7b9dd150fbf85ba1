/** Whether there is room for a file, asked before anything is written. */
import { statfs } from 'node:fs/promises'
import { CairnError } from '../errors.ts'

/** Left free besides the file itself: for its sidecar, and for who else writes there. */
const SPARE_BYTES = 1 << 20

export async function requireSpace(folder: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (free >= bytes + SPARE_BYTES) return
  const [needs, has] = [mebibytes(bytes + SPARE_BYTES), mebibytes(free)]
  throw new CairnError(
    'no_space',
    `${what} needs about ${needs} in ${folder}, where ${has} are free.`,
    {
      hint: 'Free some space, or use another folder. Nothing was written.',
      path: folder,
      needed: bytes + SPARE_BYTES,
      free,
    },
  )
}

const mebibytes = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(1)} MiB`

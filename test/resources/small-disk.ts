/** Disks of a few MiB: what is done on them runs out of space where a test wants it to. */
import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Only root on Linux can mount; where that is refused nothing of this can be tried, and the test fails. */
export const CAN_MOUNT: boolean = process.platform === 'linux' && process.getuid?.() === 0

export interface SmallDisk {
  readonly dir: string
  free(): number
  /** Fills it with a file until only so many bytes are left. */
  leave(bytes: number): void
  /** Removes that file. */
  empty(): void
  /** For writing no more, or again. */
  remount(how: 'ro' | 'rw'): void
}

const PAGE = 4096

/** A tmpfs, unmounted when the test has finished. */
export async function smallDisk(mebibytes: number): Promise<SmallDisk> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=700`, 'tmpfs', dir])
  onTestFinished(async () => {
    execFileSync('umount', ['-l', dir])
    await rm(dir, { recursive: true })
  })
  const ballast = join(dir, 'ballast')
  const free = (): number => {
    const { bavail, bsize } = statfsSync(dir)
    return bavail * bsize
  }
  return {
    dir,
    free,
    leave: (bytes) => fill(ballast, free() - Math.ceil(bytes / PAGE) * PAGE),
    empty: () => rmSync(ballast, { force: true }),
    remount: (how) => void execFileSync('mount', ['-o', `remount,${how}`, dir]),
  }
}

function fill(path: string, bytes: number): void {
  const file = openSync(path, 'w')
  try {
    const zeros = Buffer.alloc(2 ** 20)
    for (let left = bytes; left > 0; left -= zeros.length)
      writeSync(file, zeros, 0, Math.min(left, zeros.length))
    ftruncateSync(file, Math.max(0, bytes))
  } finally {
    closeSync(file)
  }
}

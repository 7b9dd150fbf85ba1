/**
 * Copies the newest commit of each dataset to one place, for people and other tools. Nothing reads
 * it as truth, so it goes in the background, many commits in one copy, and its failures are told to a
 * callback. It copies what is newest when it writes, and looks again afterwards, so that of two
 * processes the one with the older commit does not have the last word.
 */
import type { CallOptions } from '../../store/backend.ts'
import type { History } from './history.ts'

export interface Mirror {
  /** There is a newer commit. */
  poke(dataset: string): void
  settled(): Promise<void>
}

/** How long commits are gathered before a copy. */
const GATHER_MS = 200

export type WriteCopy = (
  dataset: string,
  commit: Uint8Array,
  options?: CallOptions,
) => Promise<void>

export function createMirror(
  history: History,
  write: WriteCopy,
  onError: (error: unknown) => void,
): Mirror {
  const running = new Map<string, Promise<void>>()
  const poked = new Set<string>()
  const hurry = new Set<() => void>()

  const run = async (dataset: string): Promise<void> => {
    while (poked.delete(dataset)) {
      await new Promise<void>((resolve) => {
        const now = (): void => {
          clearTimeout(timer)
          hurry.delete(now)
          resolve()
        }
        const timer = setTimeout(now, GATHER_MS)
        hurry.add(now)
      })
      poked.delete(dataset)
      await copyNewest(history, dataset, write).catch(onError)
    }
    running.delete(dataset)
  }

  return {
    poke(dataset) {
      poked.add(dataset)
      if (!running.has(dataset)) running.set(dataset, run(dataset))
    },
    async settled() {
      for (const now of hurry) now()
      await Promise.all(running.values())
    },
  }
}

/** Until there is no newer one. Answers whether there was any. */
export async function copyNewest(
  history: History,
  dataset: string,
  write: WriteCopy,
  options?: CallOptions,
): Promise<boolean> {
  let copied = -1
  for (;;) {
    const newest = await history.newest(dataset, copied, options)
    if (newest === undefined) return copied >= 0
    await write(dataset, newest.bytes, options)
    copied = newest.number
  }
}

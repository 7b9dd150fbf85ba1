/**
 * What is done in the background once it is no longer needed: pins of holders are dropped, and then
 * intents removed, many in one request.
 */
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { KuboClient } from './client.ts'
import type { Mfs } from './mfs.ts'
import { means } from './refusals.ts'

interface Leftovers {
  /** Recursive pins that nobody else can rely on. */
  readonly pins: readonly CidBytes[]
  /** Paths; they go after the pins, of which they tell. */
  readonly intents: readonly string[]
}

export interface Tidy {
  later(leftovers: Leftovers): void
  /** Waits until everything that `later` was told is gone, or could not be removed. */
  settled(): Promise<void>
}

const GATHER_MS = 200
const AT_ONCE = 64

export function createTidy(client: KuboClient, mfs: Mfs, onError: (error: unknown) => void): Tidy {
  let waiting: Leftovers[] = []
  let running: Promise<void> | undefined
  let hurry = (): void => {}

  const unpin = async (cid: CidBytes): Promise<void> => {
    try {
      await client.write('pin/rm', { arg: printCid(cid), recursive: true })
    } catch (error) {
      if (!means(error, 'notPinned')) throw error
    }
  }
  const work = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS)
      hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    while (waiting.length > 0) {
      const some = waiting.slice(0, AT_ONCE)
      waiting = waiting.slice(some.length)
      try {
        for (const { pins } of some) for (const pin of pins) await unpin(pin)
        const intents = some.flatMap((one) => one.intents)
        if (intents.length > 0) await mfs.remove(intents)
      } catch (error) {
        onError(error)
      }
    }
    running = undefined
  }

  return {
    later(leftovers) {
      waiting.push(leftovers)
      running ??= work()
    },
    async settled() {
      hurry()
      await running
    },
  }
}

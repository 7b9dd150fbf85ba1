/** Looking at pins and dropping them, many at a time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isCairnError, throwIfAborted } from '../../errors.ts'
import type { CallOptions } from '../../store/backend.ts'
import { mapAtOnce } from '../../util/in-order.ts'
import { mapOf, notAnAnswer } from './answers.ts'
import type { KuboClient } from './client.ts'
import type { PinType } from './pins.ts'
import { means } from './refusals.ts'
import { runningCommands } from './running.ts'
import { linesOf } from './lines.ts'

const POLL_MS = 250

interface ListedPin {
  readonly Cid: string
  readonly Name?: string
}

/**
 * Those of `cids` that have a pin without a name, with its type. A pin with a name was made by the
 * node's owner, or taken over by one, who gave it that name: Cairn makes none.
 */
export async function unnamedPins(
  client: KuboClient,
  cids: ReadonlySet<string>,
  options?: CallOptions,
): Promise<Map<string, PinType>> {
  const found = new Map<string, PinType>()
  for (const type of ['recursive', 'direct'] as const) {
    const pins = client.stream('pin/ls', { type, names: true, stream: true }, options)
    for await (const line of linesOf(pins)) {
      const { Cid, Name = '' } = mapOf('pin/ls', line) as Partial<ListedPin>
      if (typeof Cid !== 'string') throw notAnAnswer('pin/ls', line)
      if (Name === '' && cids.has(Cid)) found.set(Cid, type)
    }
  }
  return found
}

export interface Unpinning {
  readonly client: KuboClient
  /** Asked before each request. Throws when there must be no more. */
  readonly mayGoOn: () => void
  readonly onDone: (count: number) => void
  /** Set where a request had no answer; the error that comes out may be that of another. */
  mayRunStill: boolean
}

/**
 * Drops pins of one type, each asked for once, `size` in a request. Answers those of the requests in
 * which one had no such pin: Kubo stops there without saying at which.
 */
export async function unpin(
  task: Unpinning,
  cids: readonly string[],
  type: PinType,
  size: number,
): Promise<string[]> {
  const { client, mayGoOn, onDone } = task
  const batches: string[][] = []
  for (let at = 0; at < cids.length; at += size) batches.push(cids.slice(at, at + size))
  const stopped: string[] = []
  await mapAtOnce(batches, REQUESTS_AT_ONCE, async (batch) => {
    mayGoOn()
    try {
      // A pin that became recursive meanwhile is somebody else's: `recursive: false` leaves it.
      await client.write('pin/rm', { arg: batch, recursive: type === 'recursive' })
      onDone(batch.length)
    } catch (error) {
      task.mayRunStill ||= isCairnError(error) && error.details['sent'] === true
      if (!means(error, 'notPinned') && !means(error, 'pinnedRecursively')) throw error
      stopped.push(...batch)
    }
  })
  return stopped
}

const REQUESTS_AT_ONCE = 2

/**
 * Waits until the node drops no pin, after a request that had no answer: it may wait on the node for a
 * garbage collection to end. `false`: the node did not tell.
 */
export async function unpinningEnded(client: KuboClient, options?: CallOptions): Promise<boolean> {
  const giveUpAt = performance.now() + client.deadlines.writeMs
  try {
    while (performance.now() < giveUpAt) {
      const running = await runningCommands(client, options)
      if (running === undefined) return false
      if (!running.some(({ command }) => command === 'pin/rm')) return true
      await sleep(POLL_MS)
      throwIfAborted(options?.signal)
    }
  } catch (error) {
    if (!isCairnError(error)) throw error
  }
  return false
}

/**
 * What is done in the background once it is no longer needed: pins of holders are dropped, and then
 * intents removed, many in one request.
 *
 * While a sweep is under way that may have read the commits before the newest ones, only the intents of
 * these keep it from what they rely on. So they are kept until it has ended, many as one file.
 */
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { Bundles } from './bundles.ts'
import type { KuboClient } from './client.ts'
import type { Intent, Intents } from './intents.ts'
import type { LeaseFolder } from './leases.ts'
import type { Mfs } from './mfs.ts'
import { means } from './refusals.ts'

interface Leftovers {
  /** Recursive pins that nobody else can rely on. */
  readonly pins?: readonly CidBytes[]
  /** They go after the pins, of which they tell. */
  readonly intents: readonly Intent[]
  /** Get records before the intents go, which tell of them. */
  readonly bundles?: readonly CidBytes[]
  /** The files of the lease by which the intents lived; they go last. */
  readonly lease?: readonly string[]
}

export interface Tidy {
  later(leftovers: Leftovers): void
  /** Waits until everything that `later` was told is gone, or could not be removed. */
  settled(): Promise<void>
}

export interface TidyTools {
  readonly client: KuboClient
  readonly mfs: Mfs
  readonly intents: Intents
  readonly bundles: Bundles
  readonly sweeps: LeaseFolder
  readonly onError: (error: unknown) => void
}

const GATHER_MS = 200
const AT_ONCE = 64
const PINS_A_FILE = 4_000
/** How often it is looked whether a sweep has ended, for the sake of the files alone. */
const SWEEP_POLL_MS = 60_000

export function createTidy(tools: TidyTools): Tidy {
  const { client, mfs, intents, bundles, sweeps, onError } = tools
  let waiting: Leftovers[] = []
  /** Paths that go when no sweep is under way. */
  let kept: string[] = []
  let running: Promise<void> | undefined
  let hurry = (): void => {}
  let poll: NodeJS.Timeout | undefined

  const unpin = async (cid: CidBytes): Promise<void> => {
    try {
      await client.write('pin/rm', { arg: printCid(cid), recursive: true })
    } catch (error) {
      if (!means(error, 'notPinned')) throw error
    }
  }
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS)
      hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const sweeping = async (): Promise<boolean> =>
    (await sweeps.list()).some((file) => !sweeps.isVoid(file))

  /** One file for many, there before those go. */
  const writeUnion = async (some: readonly Intent[], bundled: boolean): Promise<void> => {
    const pins = some.filter((one) => one.bundled === bundled).flatMap((one) => one.pins)
    for (let at = 0; at < pins.length; at += PINS_A_FILE) {
      const spec = {
        purpose: 'commits during a prune',
        bundled,
        pins: pins.slice(at, at + PINS_A_FILE),
      }
      const union = await intents.write(spec)
      kept.push(union.path)
    }
  }
  const removeFiles = async (some: readonly Leftovers[]): Promise<void> => {
    const done = some.flatMap((one) => one.intents)
    const last = some.flatMap(({ lease = [] }) => lease)
    const isSweeping = await sweeping()
    if (isSweeping) for (const bundled of [false, true]) await writeUnion(done, bundled)
    else last.push(...kept)
    await mfs.remove([...done.map(({ path }) => path), ...last])
    if (!isSweeping) kept = []
  }
  const work = async (): Promise<void> => {
    await pause()
    do {
      const some = waiting.slice(0, AT_ONCE)
      waiting = waiting.slice(some.length)
      try {
        for (const { pins = [] } of some) for (const pin of pins) await unpin(pin)
        for (const { bundles: made = [] } of some) for (const one of made) await bundles.record(one)
        await removeFiles(some)
      } catch (error) {
        onError(error)
      }
    } while (waiting.length > 0)
    running = undefined
    lookAgain()
  }
  const lookAgain = (): void => {
    clearTimeout(poll)
    if (kept.length === 0) return
    poll = setTimeout(() => {
      running ??= work()
    }, SWEEP_POLL_MS)
    poll.unref()
  }

  return {
    later(leftovers) {
      waiting.push(leftovers)
      running ??= work()
    },
    async settled() {
      hurry()
      await running
      clearTimeout(poll)
    },
  }
}

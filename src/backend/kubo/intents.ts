/**
 * What is about to be pinned, written down before it is: one small file for each import, under
 * `/cairn/intents/`. Pins of an import have no name, so this is how a prune finds those that a crash
 * left. The files of what was committed are removed in the background; whatever else ended (a crash,
 * a conflict, an error) leaves its file.
 *
 * File name: `<UTC time>-<random>`. Content: JSON `{dataset, commit | label, pins}`.
 */
import { randomBytes } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'
import { CODEC_RAW, printCid, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { Mfs } from './mfs.ts'
import { INTENTS } from './paths.ts'
import { means } from './refusals.ts'

export interface IntentSpec {
  readonly dataset: string
  /** What for: the number of a commit, or the words of a staging. */
  readonly purpose: number | string
  readonly pins: readonly CidBytes[]
}

export interface Intents {
  /** Durable when it returns. The answer is for `remove`. */
  write(spec: IntentSpec, options?: CallOptions): Promise<string>
  /** In the background: many go in one request. */
  remove(paths: readonly string[]): void
  /** Waits until everything that `remove` was told is gone, or could not be removed. */
  settled(): Promise<void>
}

/** The longest digest of an identity hash that IPFS takes. */
const MAX_INLINE_BYTES = 128
const GATHER_MS = 200
const REMOVED_A_REQUEST = 64

export function createIntents(
  mfs: Mfs,
  now: () => number,
  onError: (error: unknown) => void,
): Intents {
  let waiting: string[] = []
  let running: Promise<void> | undefined
  let hurry = (): void => {}

  const removeAll = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS)
      hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    while (waiting.length > 0) {
      const paths = waiting.slice(0, REMOVED_A_REQUEST)
      waiting = waiting.slice(paths.length)
      await mfs.remove(paths).catch(onError)
    }
    running = undefined
  }

  return {
    async write(spec, options) {
      const path = `${INTENTS}/${intentName(now())}`
      const bytes = Buffer.from(intentJson(spec))
      if (bytes.length > MAX_INLINE_BYTES) {
        await mfs.write(path, bytes, options)
        return path
      }
      // A CID that holds its own bytes makes a small file in one call, without a block.
      const cid = base32.encode(
        Uint8Array.from([1, CODEC_RAW, 0, ...varintOf(bytes.length), ...bytes]),
      )
      try {
        await mfs.link(cid, path, options)
      } catch (error) {
        if (!means(error, 'pathMissing')) throw error
        await mfs.makeDirectory(INTENTS, options)
        await mfs.link(cid, path, options)
      }
      return path
    },
    remove(paths) {
      waiting.push(...paths)
      if (waiting.length > 0) running ??= removeAll()
    },
    async settled() {
      hurry()
      await running
    },
  }
}

function intentName(now: number): string {
  const time = new Date(now).toISOString().replace(/[-:]/g, '')
  return `${time}-${randomBytes(6).toString('hex')}`
}

function intentJson({ dataset, purpose, pins }: IntentSpec): string {
  const what = typeof purpose === 'number' ? { commit: purpose } : { label: purpose }
  return JSON.stringify({ dataset, ...what, pins: pins.map(printCid) })
}

const varintOf = (length: number): number[] => (length < 0x80 ? [length] : [0x80, 1])

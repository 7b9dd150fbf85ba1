/**
 * What is about to be pinned, written down before it is: one small file for each import, under
 * `/cairn/intents/`. Pins of an import have no name, so this is how a prune finds those that a crash
 * left. The files of what was committed are removed in the background; whatever else ended (a crash,
 * a conflict, an error) leaves its file.
 *
 * File name: `<UTC time>-<random>`. Content: JSON `{dataset, commit | label, pins}`.
 */
import { randomBytes } from 'node:crypto'
import { CODEC_RAW, printCid, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { Mfs } from './mfs.ts'
import { INTENTS } from './paths.ts'
import { means } from './refusals.ts'

interface IntentSpec {
  readonly dataset: string
  /** What for: the number of a commit, or the words of a staging. */
  readonly purpose: number | string
  readonly pins: readonly CidBytes[]
}

/** Durable when it returns. Answers the path, for the one who removes it. */
export type IntentWriter = (spec: IntentSpec, options?: CallOptions) => Promise<string>

/** The longest digest of an identity hash that IPFS takes. */
const MAX_INLINE_BYTES = 128

export function createIntentWriter(mfs: Mfs, now: () => number): IntentWriter {
  return async (spec, options) => {
    const path = `${INTENTS}/${intentName(now())}`
    const bytes = Buffer.from(intentJson(spec))
    if (bytes.length > MAX_INLINE_BYTES) {
      await mfs.write(path, bytes, options)
      return path
    }
    // A CID that holds its own bytes makes a small file in one call, without a block.
    const cid = printCid(Uint8Array.from([1, CODEC_RAW, 0, ...varintOf(bytes.length), ...bytes]))
    try {
      await mfs.link(cid, path, options)
    } catch (error) {
      if (!means(error, 'pathMissing')) throw error
      await mfs.makeDirectory(INTENTS, options)
      await mfs.link(cid, path, options)
    }
    return path
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

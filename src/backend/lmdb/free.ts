/**
 * Deleting what a sweep has not marked, in two walks, each in the order of its table: random deletes
 * would rewrite a page each.
 *
 *   1 digests: what names a block below the cut that has no mark and was not touched. From that
 *     transaction on nobody finds the block; who writes it again gives it a new number.
 *   2 blocks: what is below the cut, has no mark and was not touched, and so has no digest any more.
 *
 * Every transaction sees for itself that the sweep is still its owner's, and what was touched. A death
 * between the walks leaves blocks without a digest: a later sweep has no mark for them and deletes them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError, isCairnError, throwIfAborted } from '../../errors.ts'
import type { CallOptions, Freed } from '../../store/backend.ts'
import type { Environment } from './environment.ts'
import { numberBytes, readNumber } from './keys.ts'
import type { Marks } from '../marks.ts'
import { needOfChanges } from './room.ts'
import { sweepUnderWay } from './sweep-mark.ts'
import type { UnderWay } from './sweep-mark.ts'
import type { Tables } from './tables.ts'

/** A transaction keeps other writers waiting for about so long. */
const HOLD_MS = 10
/** Between two transactions others get the writer's lock, which does not stand in line for anybody. */
const PAUSE_MS = 1
const FIRST_BATCH = 250
const LEAST_BATCH = 50
const LARGEST_BATCH = 20_000
/** So many keys are looked at before others get their turn. */
const LOOK_AT_ONCE = 5000

export type FreeOptions = CallOptions & { readonly onProgress?: (done: number) => void }

interface Condemned {
  readonly key: Buffer
  readonly number: number
  readonly size: number
}

interface Found {
  readonly condemned: readonly Condemned[]
  /** Where the walk goes on; `undefined` at its end. */
  readonly next: Buffer | undefined
}

/** One of the two walks. */
interface Walk {
  readonly find: (tables: Tables, from: Buffer | undefined) => Found
  readonly remove: (tables: Tables, key: Buffer) => void
}

export async function freeUnmarked(
  environment: Environment,
  sweep: UnderWay,
  marks: Marks,
  options: FreeOptions,
): Promise<Freed> {
  const isCondemned = (number: number): boolean => number < sweep.cut && !marks.has(number)
  await walk(environment, sweep, digestWalk(isCondemned), options, () => undefined)
  let [blocks, bytes] = [0, 0]
  await walk(environment, sweep, blockWalk(isCondemned, sweep.cut), options, (removed) => {
    blocks += removed.length
    for (const { size } of removed) bytes += size
    options.onProgress?.(blocks)
  })
  return { blocks, bytes }
}

function digestWalk(isCondemned: (number: number) => boolean): Walk {
  return {
    find: ({ digests }, from) => {
      const condemned: Condemned[] = []
      const range = from === undefined ? {} : { start: from }
      let [looked, next] = [0, from]
      for (const { key, value } of digests.getRange({ ...range, limit: LOOK_AT_ONCE })) {
        const number = readNumber(asBuffer(value), 0)
        if (isCondemned(number)) condemned.push({ key: asBuffer(key), number, size: 0 })
        next = after(asBuffer(key))
        looked++
      }
      return { condemned, next: looked < LOOK_AT_ONCE ? undefined : next }
    },
    remove: ({ digests }, key) => void digests.remove(key),
  }
}

function blockWalk(isCondemned: (number: number) => boolean, cut: number): Walk {
  return {
    find: ({ blocks }, from) => {
      const condemned: Condemned[] = []
      let [looked, next] = [0, from]
      const range = { start: from ?? numberBytes(0), end: numberBytes(cut), limit: LOOK_AT_ONCE }
      for (const found of blocks.getKeys(range)) {
        const key = asBuffer(found)
        const number = readNumber(key, 0)
        if (isCondemned(number)) {
          condemned.push({ key, number, size: blocks.getBinaryFast(key)?.length ?? 0 })
        }
        next = numberBytes(number + 1)
        looked++
      }
      return { condemned, next: looked < LOOK_AT_ONCE ? undefined : next }
    },
    remove: ({ blocks }, key) => void blocks.remove(key),
  }
}

async function walk(
  environment: Environment,
  sweep: UnderWay,
  { find, remove }: Walk,
  { signal }: FreeOptions,
  onRemoved: (removed: readonly Condemned[]) => void,
): Promise<void> {
  let batch = FIRST_BATCH
  let from: Buffer | undefined
  do {
    throwIfAborted(signal)
    const start = from
    const { condemned, next } = await environment.read((tables) => find(tables, start))
    for (let at = 0; at < condemned.length;) {
      throwIfAborted(signal)
      const some = condemned.slice(at, at + batch)
      const removal = await removeSome(environment, sweep, some, remove)
      if (removal === 'no room') {
        batch = Math.max(LEAST_BATCH, Math.floor(some.length / 2))
        continue
      }
      at += some.length
      batch = nextBatch(some.length, removal.tookMs)
      onRemoved(removal.removed)
      await sleep(PAUSE_MS)
    }
    if (condemned.length === 0) await new Promise((resolve) => setImmediate(resolve))
    from = next
  } while (from !== undefined)
}

interface Removal {
  readonly removed: readonly Condemned[]
  /** While it kept other writers waiting. */
  readonly tookMs: number
}

/** In one transaction, which may be too large for a disk that is almost full: fewer may not be. */
async function removeSome(
  environment: Environment,
  sweep: UnderWay,
  some: readonly Condemned[],
  remove: Walk['remove'],
): Promise<Removal | 'no room'> {
  let began = 0
  const removeUntouched = (tables: Tables): readonly Condemned[] => {
    began = performance.now()
    checkOwner(tables, sweep)
    const untouched = some.filter(
      ({ number }) => tables.touched.getBinaryFast(numberBytes(number)) === undefined,
    )
    for (const { key } of untouched) remove(tables, key)
    return untouched
  }
  try {
    const need = needOfChanges(some.length)
    const removed = await environment.write('backend_unavailable', removeUntouched, need)
    return { removed, tookMs: performance.now() - began }
  } catch (error) {
    if (isCairnError(error, 'no_space') && some.length > LEAST_BATCH) return 'no room'
    throw error
  }
}

function nextBatch(done: number, tookMs: number): number {
  const fitting = (done * HOLD_MS) / Math.max(tookMs, 0.1)
  return Math.round(Math.min(Math.max(fitting, done / 2, LEAST_BATCH), done * 2, LARGEST_BATCH))
}

function checkOwner({ meta }: Tables, { owner }: UnderWay): void {
  if (sweepUnderWay(meta)?.owner === owner) return
  throw new CairnError('conflict', 'Another sweep has taken the place of this one.', {
    hint: 'Begin again: this process had not renewed its lease for an hour.',
  })
}

/** The least key above `key`. */
function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)])
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Whether a server can be trusted with commits. Opening a bucket for the first time asks it: of many who
 * put one object where there is none at the same time, does exactly one succeed? Is what was written
 * read and listed at once, and refused when its checksum is wrong? What passed is noted in `cairn.json`.
 */
import { randomBytes } from 'node:crypto'
import { CairnError, throwIfAborted } from '../../errors.ts'
import type { Bucket } from '../../s3/bucket.ts'
import { MARKER } from './layout.ts'

export const FORMAT = 1
const KIND = 'cairn-bucket'
/** A server that lets two win in half of the rounds passes all once in sixteen million. */
const ROUNDS = 24
const MOST_ROUNDS = ROUNDS * 4
const RACERS = 8

export interface FitnessOptions {
  readonly create: boolean
  readonly signal?: AbortSignal | undefined
}

/** Resolves when the bucket is one of ours, in a format that we know, on a server that passed. */
export async function checkFitness(
  bucket: Bucket,
  { create, signal }: FitnessOptions,
): Promise<void> {
  const found = await bucket.get(MARKER, { signal })
  if (found !== undefined) return checkMarker(found.bytes, bucket.location)
  if (!create) throw notAStore(bucket.location)
  await race(bucket, signal)
  const marker = Buffer.from(`${JSON.stringify({ kind: KIND, format: FORMAT })}\n`)
  for (let tries = 0; ; tries++) {
    const outcome = await bucket.putOnce(MARKER, marker, { contentType: 'application/json' })
    const stored = await bucket.get(MARKER, { signal })
    if (stored !== undefined) return checkMarker(stored.bytes, bucket.location)
    if (outcome.kind === 'unclear' && tries > MOST_ROUNDS) throw outcome.error
  }
}

async function race(bucket: Bucket, signal: AbortSignal | undefined): Promise<void> {
  const under = `self-test/${randomBytes(8).toString('hex')}/`
  const keys: string[] = []
  try {
    for (let told = 0; told < ROUNDS;) {
      throwIfAborted(signal)
      const key = `${under}${keys.length}`
      keys.push(key)
      const unclear = await raceOnce(bucket, key)
      // Connections are lost now and then; a round in which one was tells nothing.
      if (unclear === undefined) told++
      else if (keys.length > MOST_ROUNDS) throw unclear
    }
    await checkOneObject(bucket, `${under}one`)
  } finally {
    await bucket.delete([...keys, `${under}one`, `${under}damaged`])
  }
  if ((await bucket.list(under)).objects.length > 0) {
    throw unfit(bucket.location, 'it lists what was deleted')
  }
}

/** Of many who put an object at once one must win; answers what went wrong on the way to the server. */
async function raceOnce(bucket: Bucket, key: string): Promise<CairnError | undefined> {
  const tries = Array.from({ length: RACERS }, (_, racer) => Buffer.from(`racer ${racer}`))
  const outcomes = await Promise.all(tries.map((bytes) => bucket.putOnce(key, bytes)))
  const kinds = outcomes.map(({ kind }) => kind)
  const winners = kinds.filter((kind) => kind === 'put').length
  if (winners > 1) {
    throw unfit(
      bucket.location,
      `${winners} of ${RACERS} writers put one object, each as the first`,
    )
  }
  for (const outcome of outcomes) if (outcome.kind === 'unclear') return outcome.error
  if (winners === 0) throw unfit(bucket.location, 'of many writers none could put an object')
  const stored = await bucket.get(key)
  if (!tries[kinds.indexOf('put')]?.equals(stored?.bytes ?? new Uint8Array(0))) {
    throw unfit(bucket.location, 'it keeps other bytes than those of the writer who won')
  }
  return undefined
}

async function checkOneObject(bucket: Bucket, key: string): Promise<void> {
  await bucket.put(key, Buffer.from('first'))
  for (let tries = 0; ; tries++) {
    const late = await bucket.putOnce(key, Buffer.from('late'))
    if (late.kind === 'taken') break
    if (late.kind === 'put')
      throw unfit(bucket.location, 'it let an object be put where there was one')
    if (tries > MOST_ROUNDS) throw late.error
  }
  const { objects } = await bucket.list(key)
  if (objects.length !== 1) throw unfit(bucket.location, 'it does not list what was put')
  if (!(await bucket.refusesWrongChecksum(key.replace(/one$/, 'damaged')))) {
    throw unfit(bucket.location, 'it took an object whose checksum was wrong')
  }
}

function checkMarker(bytes: Uint8Array, location: string): void {
  let marker: unknown
  try {
    marker = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    // Told below.
  }
  if (typeof marker !== 'object' || marker === null) throw notAStore(location)
  if (!('kind' in marker) || marker.kind !== KIND || !('format' in marker))
    throw notAStore(location)
  if (marker.format === FORMAT) return
  throw new CairnError(
    'format_unsupported',
    `The bucket ${location} has format ${String(marker.format)}.`,
    {
      hint: `This Cairn knows format ${FORMAT}; a newer one wrote it.`,
    },
  )
}

function notAStore(location: string): CairnError {
  return new CairnError('store_not_found', `There is no store of Cairn at ${location}.`, {
    hint: '`cairn init` makes one; or is it another bucket or prefix?',
    location,
  })
}

function unfit(location: string, why: string): CairnError {
  return new CairnError(
    'backend_refused',
    `The server of ${location} is not fit for a store: ${why}.`,
    {
      hint: 'Two writers could overwrite each other there. Use another server; as a place for CARs it may do.',
      location,
    },
  )
}

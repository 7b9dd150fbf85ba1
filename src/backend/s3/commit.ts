/**
 * Committing: one object, put where there is none, with the commit and its blocks in it. So it is there
 * with all of them or not at all, and of all writers that want a number one gets it.
 *
 * A number below the floor is free again when its object was deleted. So a number is only asked for when
 * it was seen to be free lately, and `forget.ts` deletes no commit before any such request has ended. What
 * was looked at before is true for a sweep, too, which waits as long for what was asked for.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError, isCairnError } from '../../errors.ts'
import { bytesEqual, rawCidOf } from '../../model/cid.ts'
import type { Block } from '../../model/cid.ts'
import type { CommitOutcome } from '../../store/backend.ts'
import type { Bucket } from '../../s3/bucket.ts'
import type { Clock, Moment } from './clock.ts'
import { storeChanged, type CommitLog, type Head } from './commit-log.ts'
import { commitKey } from './layout.ts'
import { decodeCommitObject, encodeCommitObject } from './pack.ts'

/** What was looked at before a put is looked at anew when the put was not sent so soon. */
const SEND_MS = 3 * 60_000
const SETTLE_MS = 30_000
const FIRST_PAUSE_MS = 10
const MOST_COLLISIONS = 3

export interface Attempt {
  readonly dataset: string
  readonly number: number
  readonly bytes: Uint8Array
  readonly blocks: readonly Block[]
}

export class Committer {
  readonly #bucket: Bucket
  readonly #log: CommitLog
  readonly #clock: Clock
  /** Lost races in a row, by dataset, and what a put took last. */
  readonly #collisions = new Map<string, number>()
  #putMs = 5

  constructor(bucket: Bucket, log: CommitLog, clock: Clock) {
    this.#bucket = bucket
    this.#log = log
    this.#clock = clock
  }

  /** What became of a request whose number is not the next; undefined: it is the next. */
  async settled({ dataset, number, bytes }: Attempt): Promise<CommitOutcome | undefined> {
    let head = this.#log.head(dataset)
    const isNext = head?.number === number - 1 && this.#log.isFresh(head)
    if (!isNext || this.#hasCollided(dataset)) {
      await this.#giveWay(dataset)
      head = await this.#log.advance(dataset)
    }
    const next = (head?.number ?? -1) + 1
    if (number === next) return undefined
    return number > next ? 'conflict' : await this.#lookUp(dataset, number, bytes)
  }

  /** Puts it. All that must be so for it was so at `asked`. */
  async put(attempt: Attempt, asked: Moment): Promise<CommitOutcome> {
    const { dataset, number, bytes, blocks } = attempt
    const before = this.#log.head(dataset)
    const last = before?.number ?? -1
    // Since it was settled, other calls may have gone on, or found that the store is another.
    if (last >= number) return await this.#lookUp(dataset, number, bytes)
    if (last < number - 1) throw storeChanged(dataset, number - 1, 'no longer has')
    const object = encodeCommitObject(bytes, blocks)
    const checked = this.#checkBefore(dataset, number, before)
    const outcome = await this.#putUntilKnown(attempt, object.bytes, asked)
    this.#collisions.set(
      dataset,
      outcome === 'committed'
        ? 0
        : Math.min(MOST_COLLISIONS, (this.#collisions.get(dataset) ?? 0) + 1),
    )
    const changed = await checked
    if (outcome !== 'committed') return outcome
    if (changed !== undefined) await this.#takeBack(attempt, changed)
    return outcome
  }

  /** The commit before must be there, or this is not the store it was. Asked beside the put. */
  async #checkBefore(dataset: string, number: number, before: Head | undefined): Promise<unknown> {
    try {
      if (before !== undefined) await this.#log.checkHead(dataset, before)
    } catch (error) {
      return error
    }
    // Others went on while this process slept. Behind the floor nobody can say any more which commit had the number.
    const isForgotten = number < this.#log.knownMarks(dataset).floor
    return isForgotten ? new Error('it is forgotten by now') : undefined
  }

  async #takeBack({ dataset, number }: Attempt, error: unknown): Promise<never> {
    if (isCairnError(error, 'store_changed')) {
      const undone = this.#bucket.delete([commitKey(dataset, number)])
      await undone.catch((failure: unknown) => {
        throw unknown(dataset, number, failure)
      })
      throw error
    }
    throw unknown(dataset, number, error)
  }

  async #putUntilKnown(
    attempt: Attempt,
    object: Uint8Array,
    asked: Moment,
  ): Promise<CommitOutcome> {
    const { dataset, number, bytes } = attempt
    const key = commitKey(dataset, number)
    const giveUpAt = performance.now() + SETTLE_MS
    let [sent, late] = [false, false]
    const guard = (): void => {
      late = this.#clock.since(asked) > SEND_MS
      if (late) throw tooLate(dataset, number)
    }
    for (let pause = FIRST_PAUSE_MS; ; pause *= 2) {
      const seen = this.#clock.moment
      const began = performance.now()
      const outcome = await this.#bucket
        .putOnce(key, object, { contentType: 'application/vnd.ipld.car', guard })
        .catch((error: unknown) => {
          // That this try is refused says nothing of an earlier one.
          if (sent) throw unknown(dataset, number, error)
          if (!late) throw error
        })
      if (outcome === undefined) return 'conflict'
      sent = true
      this.#putMs = performance.now() - began
      if (outcome.kind === 'put') {
        this.#committed(attempt, object, { etag: outcome.etag, seen })
        return 'committed'
      }
      const found = await this.#find(dataset, number)
      if (found !== undefined) {
        if (!bytesEqual(found.cid, rawCidOf(bytes))) return 'conflict'
        this.#committed(attempt, object, { etag: found.etag, seen })
        return 'committed'
      }
      // The put that was not answered may yet land: its number stays in doubt.
      if (performance.now() + pause > giveUpAt) {
        throw unknown(dataset, number, outcome.kind === 'unclear' ? outcome.error : undefined)
      }
      await sleep(pause * (0.5 + Math.random()))
    }
  }

  async #find(dataset: string, number: number): ReturnType<CommitLog['read']> {
    try {
      return await this.#log.read(dataset, number)
    } catch (error) {
      throw unknown(dataset, number, error)
    }
  }

  async #lookUp(dataset: string, number: number, bytes: Uint8Array): Promise<CommitOutcome> {
    if (number < (await this.#log.marks(dataset)).floor) return 'forgotten'
    const found = await this.#find(dataset, number)
    if (found === undefined) return 'forgotten'
    return bytesEqual(found.cid, rawCidOf(bytes)) ? 'committed' : 'conflict'
  }

  #committed(
    { dataset, number, bytes }: Attempt,
    object: Uint8Array,
    { etag, seen }: Pick<Head, 'etag' | 'seen'>,
  ): void {
    const key = commitKey(dataset, number)
    const read = decodeCommitObject(object, key)
    this.#log.learn(dataset, number, read)
    const commit = new Uint8Array(bytes)
    this.#log.noteHead(dataset, { number, cid: read.cid, etag, seen, commit })
  }

  #hasCollided(dataset: string): boolean {
    return (this.#collisions.get(dataset) ?? 0) > 0
  }

  /** Writers that met wait for random times, so that fewer of their puts are in vain. */
  async #giveWay(dataset: string): Promise<void> {
    const collisions = this.#collisions.get(dataset) ?? 0
    if (collisions > 0) await sleep(Math.random() * this.#putMs * 2 ** collisions)
  }
}

function tooLate(dataset: string, number: number): CairnError {
  return new CairnError('conflict', `Commit ${number} of ${dataset} was not sent in time.`, {
    hint: 'Begin again: the store may be another by now.',
    dataset,
    number,
  })
}

function unknown(dataset: string, number: number, cause: unknown): CairnError {
  return new CairnError(
    'commit_unknown',
    `Whether commit ${number} of ${dataset} took effect is not known.`,
    { hint: 'Make the same request again: it is recognized.', dataset, number, cause },
  )
}

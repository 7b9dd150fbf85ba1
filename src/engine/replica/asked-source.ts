/**
 * A source that cannot be called, because it calls: a sync that copies from it asks one question at a time, which
 * waits here until whoever sends the state brings the answer.
 *
 * Questions are numbered, so that an answer which comes twice counts once.
 */
import { CairnError, isCairnError, throwIfAborted } from '../../errors.ts'
import { cidKey, cidMatches, printCid, type CidBytes } from '../../model/cid.ts'
import { decodeCommit, type EncodedCommit } from '../../model/commit.ts'
import type { CallOptions } from '../../store/backend.ts'
import { Along } from './log-ahead.ts'
import type { BlockOptions, SyncSource } from './source.ts'

type Question =
  | { readonly kind: 'newest' }
  | {
      readonly kind: 'blocks'
      readonly cids: readonly CidBytes[]
      /** Blocks of the log before the one asked for are welcome, down to this position. */
      readonly logFrom?: number | undefined
    }

/** The newest commit; or the blocks of the first `count` CIDs that were asked for, as far as there are such. */
export type Answer =
  | { readonly kind: 'newest'; readonly commit: Uint8Array }
  | {
      readonly kind: 'blocks'
      readonly blocks: ReadonlyMap<string, Uint8Array>
      readonly count: number
    }

interface Asked {
  readonly step: number
  readonly question: Question
}

interface Open extends Asked {
  /** Throws, and goes on waiting, where that is no answer. */
  readonly take: (answer: Answer) => void
  readonly fail: (error: unknown) => void
}

/** Blocks that one question asks for at most. */
const MOST_ASKED = 512

export class AskedSource implements SyncSource {
  readonly location: string
  /** What was sent to begin with. */
  #first: EncodedCommit | undefined
  #step = 0
  #open: Open | undefined
  readonly #along = new Along()
  readonly #onAsked: () => void

  /** `onAsked` is called when there is a question. */
  constructor(location: string, first: EncodedCommit, onAsked: () => void) {
    this.location = location
    this.#first = first
    this.#onAsked = onAsked
  }

  get asked(): Asked | undefined {
    return this.#open
  }

  async newest(dataset: string, { signal }: CallOptions): Promise<EncodedCommit> {
    const first = this.#first
    this.#first = undefined
    return first ?? this.#ask({ kind: 'newest' }, (answer) => commitIn(answer, dataset), signal)
  }

  /** As many as come with one answer. */
  getBlocks(
    cids: readonly CidBytes[],
    { signal, logFrom }: BlockOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    return this.#along.read(cids.slice(0, MOST_ASKED), (lacking) => {
      const from = lacking.length === 1 ? logFrom : undefined
      const read = (answer: Answer): (Uint8Array | undefined)[] => {
        const blocks = blocksIn(answer, lacking)
        if (from !== undefined && answer.kind === 'blocks') this.#along.keep(answer.blocks)
        return blocks
      }
      return this.#ask({ kind: 'blocks', cids: lacking, logFrom: from }, read, signal)
    })
  }

  /** Whoever sends the state holds it. */
  hold(): Promise<() => Promise<void>> {
    return Promise.resolve(async () => {})
  }

  #ask<T>(
    question: Question,
    read: (answer: Answer) => T,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    throwIfAborted(signal)
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        signal?.removeEventListener('abort', stop)
        this.#open = undefined
        outcome()
      }
      const fail = (error: unknown): void => settle(() => reject(error))
      const stop = (): void => fail(signal?.reason)
      signal?.addEventListener('abort', stop, { once: true })
      const take = (answer: Answer): void => {
        const given = read(answer)
        settle(() => resolve(given))
      }
      this.#open = { step: ++this.#step, question, take, fail }
      this.#onAsked()
    })
  }

  /** One that was answered before is passed over. */
  answer(step: number, answer: Answer): void {
    const open = this.#open
    if (open?.step === step) return open.take(answer)
    if (step < 1 || step > this.#step) throw notAsked(`Nothing was asked in step ${step}.`)
  }
}

/** What was sent as the newest commit of a dataset. */
export function commitSent(dataset: string, bytes: Uint8Array): EncodedCommit {
  const stored = decodedOf(bytes)
  if (stored.commit.dataset === dataset) return stored
  throw new CairnError('usage', `The commit is one of "${stored.commit.dataset}".`, {
    hint: `Send that of "${dataset}".`,
    dataset,
  })
}

function decodedOf(bytes: Uint8Array): EncodedCommit {
  try {
    return decodeCommit(bytes)
  } catch (cause) {
    if (!isCairnError(cause, 'pointer_damaged')) throw cause
    throw new CairnError('usage', 'What was sent is no commit.', {
      hint: 'Send the very bytes that the store has; if it is damaged there, repair it first.',
      cause,
    })
  }
}

function commitIn(answer: Answer, dataset: string): EncodedCommit {
  if (answer.kind === 'newest') return commitSent(dataset, answer.commit)
  throw notAsked('The newest commit was asked for.')
}

function blocksIn(answer: Answer, cids: readonly CidBytes[]): (Uint8Array | undefined)[] {
  if (answer.kind !== 'blocks') throw notAsked('Blocks were asked for.')
  const { blocks, count } = answer
  if (count < 1 || count > cids.length)
    throw notAsked(`${cids.length} blocks were asked for, ${count} are answered.`)
  return cids.slice(0, count).map((cid) => {
    const bytes = blocks.get(cidKey(cid))
    if (bytes === undefined || cidMatches(cid, bytes)) return bytes
    throw new CairnError('invalid_car', `Other bytes were sent for ${printCid(cid)}.`, {
      hint: 'The block is damaged where it comes from; run `cairn verify` there.',
      cid: printCid(cid),
    })
  })
}

function notAsked(sentence: string): CairnError {
  return new CairnError('usage', sentence, { hint: 'Answer what the last answer has asked for.' })
}

/**
 * Commits: numbered files in MFS, put in place by `files cp`, which refuses a name that exists.
 *
 * Order: everything a commit names is on the node and held, and its own block is on the node; then
 * the file is put in place. A crash before that leaves blocks, pins and the intent that tells of them.
 *
 * Of the directories of commits, prune removes the oldest, never the two newest. So a file that was
 * put into one of the two newest is the first of its number. Into an older one (by a writer that slept
 * for hundreds of commits) it may have been put after the real one was pruned; there the chain of
 * `prev` from the newest commit decides.
 */
import { CairnError } from '../../errors.ts'
import { bytesEqual, printCid, rawCidOf, type Block } from '../../model/cid.ts'
import type { CallOptions, CommitOutcome, CommitRequest } from '../../store/backend.ts'
import { mapOf } from './answers.ts'
import type { History } from './history.ts'
import type { Importer, LetGo } from './import.ts'
import { SOUND_MS } from './leases.ts'
import type { Mfs } from './mfs.ts'
import { commitPath, COMMITS_A_DIRECTORY, directoryOf, directoryPath } from './paths.ts'
import { commitUnknown, placeCommit } from './place.ts'
import { createQueue, type Queue } from './queue.ts'
import { KuboStaging } from './staging.ts'
import type { Tidy } from './tidy.ts'

export interface CommitTools {
  readonly mfs: Mfs
  readonly history: History
  readonly importer: Importer
  readonly tidy: Tidy
  readonly retryMs: number
  readonly now: () => number
}

export class Committer {
  readonly #tools: CommitTools
  readonly #queues = new Map<string, Queue>()

  constructor(tools: CommitTools) {
    this.#tools = tools
  }

  /**
   * One at a time in a dataset, so that of writers in one process those that lose find it out before
   * they have pinned anything, and a request that is made twice at once pins nothing twice.
   */
  commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    if (request.staging instanceof KuboStaging) request.staging.name()
    const queue = this.#queues.get(request.dataset) ?? createQueue()
    this.#queues.set(request.dataset, queue)
    return queue(() => this.#commit(request, options), options?.signal)
  }

  async #commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    const { importer, tidy, now } = this.#tools
    const { dataset, number, bytes, blocks, content = [] } = request
    const [before, needed] = await Promise.all([
      this.#settledBefore(request, options),
      importer.pinsNeeded(blocks, options),
    ])
    if (before === 'conflict' || before === 'forgotten') return before
    if (before === 'here') return this.#here(request, options)
    checkSound(request)
    const own = { cid: rawCidOf(bytes), bytes }
    const spec = { dataset, purpose: number, blocks: [...content, own, ...blocks] }
    const intent = await importer.put(spec, needed, options)
    const mayGoOn = (): void => {
      checkSound(request)
      // A sweep takes an intent for dead after an hour; what is sent now must have ended by then.
      if (intent !== undefined && now() - intent.at > SOUND_MS) throw tooLate(dataset, number)
    }
    const outcome = await this.#place(request, own, mayGoOn, options)
    if (outcome === 'committed' && intent !== undefined) tidy.later({ pins: [], intents: [intent] })
    return outcome
  }

  /** What is known before anything is written; `undefined` when the number looks free. */
  async #settledBefore(
    { dataset, number, bytes }: CommitRequest,
    options?: CallOptions,
  ): Promise<CommitOutcome | 'here' | undefined> {
    const { mfs, history } = this.#tools
    const starts = number % COMMITS_A_DIRECTORY === 0
    const [there, base, directories] = await Promise.all([
      history.commit(dataset, number, options),
      number === 0 ? undefined : history.commit(dataset, number - 1, options),
      starts ? history.directories(dataset, options) : [],
    ])
    if (there !== undefined) return bytesEqual(there, bytes) ? 'here' : 'conflict'
    // Without its base it was pruned, or is not the next one; with a later directory it was pruned.
    if (number > 0 && base === undefined) {
      const newest = await history.newest(dataset, -1, options)
      return newest !== undefined && newest.number >= number ? 'forgotten' : 'conflict'
    }
    if (directories.some((one) => one > directoryOf(number))) return 'forgotten'
    // Read from another store, or from one that was killed before that base was on disk.
    if (base !== undefined && !follows(bytes, base)) throw otherBase(dataset, number)
    if (starts) await mfs.makeDirectory(directoryPath(dataset, directoryOf(number)), options)
    return undefined
  }

  /** The file lies there already, maybe not yet on the disk. */
  async #here(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    const path = pathOf(request)
    await this.#tools.mfs.flush(path, options).catch((error: unknown) => {
      throw commitUnknown(path, error)
    })
    return this.#proved(request, options)
  }

  async #place(
    request: CommitRequest,
    own: Block,
    mayGoOn: () => void,
    options?: CallOptions,
  ): Promise<CommitOutcome> {
    const { mfs, importer, retryMs } = this.#tools
    let letGo: LetGo = () => {}
    const putAgain = async (): Promise<void> => {
      const { dataset, number: purpose } = request
      letGo = await importer.putForNow({ dataset, purpose, blocks: [own] }, options)
    }
    try {
      // A crash here leaves the blocks, held, and the intent. From the next line on the commit is.
      const tools = { mfs, retryMs, mayGoOn, putAgain }
      const placed = await placeCommit(tools, pathOf(request), own.bytes, options)
      return placed === 'committed' ? await this.#proved(request, options) : placed
    } finally {
      letGo()
    }
  }

  /** Whether the file that lies there now, with these bytes, is the one that the others build on. */
  async #proved(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    const { mfs, history } = this.#tools
    const { dataset, number, bytes } = request
    const path = pathOf(request)
    try {
      const [directories, there] = await Promise.all([
        history.directories(dataset, options),
        mfs.cidAt(path, options),
        mfs.flush(path, options),
      ])
      // Whoever said that it was put there may have answered another request.
      if (there !== printCid(rawCidOf(bytes))) throw commitUnknown(path)
      if ((directories.at(-1) ?? Infinity) <= directoryOf(number) + 1) return 'committed'
      return await this.#provedByChain(request, options)
    } catch (error) {
      throw commitUnknown(path, error)
    }
  }

  /** The same by the chain of `prev`, from the newest commit on. */
  async #provedByChain(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    const { history } = this.#tools
    const { dataset, number, bytes } = request
    const path = pathOf(request)
    const newest = await history.newest(dataset, -1, options)
    if (newest === undefined) throw commitUnknown(path)
    let { bytes: later } = newest
    for (let at = newest.number - 1; at >= number; at--) {
      const earlier = await history.commit(dataset, at, options)
      if (earlier === undefined) throw commitUnknown(path)
      if (prevOf(later) !== printCid(rawCidOf(earlier))) return 'conflict'
      later = earlier
    }
    return bytesEqual(later, bytes) ? 'committed' : 'conflict'
  }
}

/** Throws if the staging that holds what the commit names may hold it no longer. */
function checkSound({ staging, dataset, number }: CommitRequest): void {
  if (staging instanceof KuboStaging && !staging.sound()) throw leaseLost(dataset, number)
}

const pathOf = ({ dataset, number }: CommitRequest): string => commitPath(dataset, number)

/** Whether a commit that says what it follows says `base`. */
function follows(bytes: Uint8Array, base: Uint8Array): boolean {
  const prev = prevOf(bytes)
  return typeof prev !== 'string' || prev === printCid(rawCidOf(base))
}

function otherBase(dataset: string, number: number): CairnError {
  return new CairnError(
    'store_changed',
    `The node has another commit ${number - 1} of ${dataset} than the one that was built on.`,
    {
      hint: 'It was restored, replaced, or killed before that commit was on disk. Open it anew.',
      dataset,
      number,
    },
  )
}

function leaseLost(dataset: string, number: number): CairnError {
  return new CairnError(
    'conflict',
    `Commit ${number} of ${dataset} names blocks that may be gone: their lease was not renewed in time.`,
    { hint: 'Was this process asleep, or the node away, for half an hour? Make it again.' },
  )
}

function tooLate(dataset: string, number: number): CairnError {
  return new CairnError(
    'backend_timeout',
    `Commit ${number} of ${dataset} took too long to get its blocks onto the node.`,
    { hint: 'Was this process asleep, or the node busy, for half an hour? Make it again.' },
  )
}

function prevOf(bytes: Uint8Array): unknown {
  return mapOf('files/read', bytes)['prev']
}

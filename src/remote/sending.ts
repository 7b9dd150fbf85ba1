/**
 * One sync that is sent, from its beginning at the service to its end there: answers to what it asks for, until it tells
 * how it ended.
 *
 * A request that had no answer is sent again, as the same step.
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { carHeader, sectionHead } from '../car/encode.ts'
import { CairnClientError, isClientError } from '../client/error.ts'
import type { Call, Transport } from '../client/transport.ts'
import { noDataset } from '../engine/replica/check-target.ts'
import { logBefore } from '../engine/replica/log-ahead.ts'
import type { SyncSource } from '../engine/replica/source.ts'
import type { SyncOptions, SyncReport } from '../engine/replica/sync.ts'
import { CairnError, isCairnError, throwIfAborted } from '../errors.ts'
import { cidKey, cidMatches, parseCid, printCid, type CidBytes } from '../model/cid.ts'
import type { ContentMode } from '../model/entry.ts'
import { isRecord } from './is-record.ts'
import type { Patience } from './patience.ts'
import { translated } from './service-errors.ts'
import { pathOf } from './service-source.ts'
import { checkedState, reportOf, type SyncFailure, type SyncState } from './sync-state.ts'

export interface FarSide {
  readonly location: string
  readonly http: Transport
  /** For a service that was there a moment ago. */
  readonly patient: Transport
  readonly patience: Patience
}

/** One body has so much of what was asked for; the rest is asked for again. */
const BODY_BYTES = 4 << 20
/** Blocks that are read at once before it is known how large they are. */
const FIRST_READ = 16
/** Beyond the time of other requests: what the service waits before it answers, and a body on a slow line. */
const WAIT_MS = 5000
const SLOW_BYTES_PER_MS = 64
const GIVE_UP_MS = 2000

interface Gathered {
  /** A CAR. */
  readonly parts: Uint8Array[]
  /** Of how many of the CIDs, from the first on, it has the blocks that there are. */
  readonly count: number
  readonly blocks: number
}

export class Sending {
  readonly #to: FarSide
  readonly #source: SyncSource
  readonly #dataset: string
  readonly #options: SyncOptions
  /** The same in each try to begin: of those that took effect without an answer there is one. */
  readonly #key = randomBytes(16).toString('hex')
  #sync: string | undefined
  #content: ContentMode = 'external'
  #requests = 0
  #askedAt = 0
  #sent = 0
  /** Blocks that were read and did not fit into the last body: they are asked for next. */
  #left = new Map<string, Uint8Array | undefined>()
  #release: () => Promise<void> = async () => {}

  constructor(to: FarSide, source: SyncSource, dataset: string, options: SyncOptions) {
    this.#to = to
    this.#source = source
    this.#dataset = dataset
    this.#options = options
  }

  isForgotten(error: unknown): boolean {
    return this.#sync !== undefined && isCairnError(error, 'not_found')
  }

  async run(): Promise<SyncReport> {
    try {
      let state = await this.#begin()
      this.#sync = state.sync
      while (state.report === null) state = await this.#answer(state)
      const { location: source } = this.#source
      const known = { dataset: this.#dataset, source, requests: this.#requests }
      return reportOf(state.report, known)
    } catch (error) {
      await this.#giveUp(error)
      throw error
    } finally {
      await this.#release()
    }
  }

  async #begin(): Promise<SyncState> {
    // On one line: it is shown to people over there.
    const from = `${hostname()}:${this.#source.location}`
      .slice(0, 500)
      .replaceAll(/\p{C}|\p{Z}/gu, ' ')
    const commit = Buffer.from(await this.#newest()).toString('utf8')
    const json = { from, commit, key: this.#key }
    return this.#ask({ method: 'POST', path: this.#path, json })
  }

  get #path(): string {
    const syncs = `${pathOf(this.#dataset)}/syncs`
    return this.#sync === undefined ? syncs : `${syncs}/${this.#sync}`
  }

  #answer(state: SyncState): Promise<SyncState> {
    if (state.wants === 'nothing') return this.#askAgain()
    this.#to.patience.question()
    return state.wants === 'newest' ? this.#answerNewest(state) : this.#answerBlocks(state)
  }

  async #askAgain(): Promise<SyncState> {
    const { signal } = this.#options
    const waitMs = this.#to.patience.nothing(performance.now() - this.#askedAt)
    await delay(waitMs, undefined, { signal }).catch(() => throwIfAborted(signal))
    return this.#ask({ method: 'GET', path: this.#path })
  }

  async #answerNewest({ step }: SyncState): Promise<SyncState> {
    const body = await this.#newest()
    const path = `${this.#path}/${step}`
    return this.#ask({ method: 'PUT', path, body, type: 'application/json' })
  }

  async #answerBlocks({ step, cids, log_from: logFrom }: SyncState): Promise<SyncState> {
    const { onProgress, signal } = this.#options
    const { parts, count, blocks } = await this.#gather(await readCids(cids))
    const [block] = logFrom === null ? [] : parts.slice(2)
    if (block !== undefined && logFrom !== null)
      for await (const { cid, bytes } of logBefore(this.#source, block, logFrom, { signal })) {
        this.#checkKind(cid, bytes)
        parts.push(sectionHead(cid, bytes.length), bytes)
      }
    const state = await this.#ask({
      method: 'PUT',
      path: `${this.#path}/${step}`,
      query: { count },
      body: Buffer.concat(parts),
      type: 'application/vnd.ipld.car',
    })
    this.#sent += blocks
    onProgress?.({ step: 'send', done: this.#sent })
    return state
  }

  /** As many of the blocks as fit into one body, at least one. */
  async #gather(cids: readonly CidBytes[]): Promise<Gathered> {
    const { signal } = this.#options
    const left = this.#left
    this.#left = new Map()
    const parts: Uint8Array[] = [carHeader([])]
    let [count, blocks, size] = [0, 0, 0]
    for (let width = FIRST_READ; count < cids.length;) {
      const some = cids.slice(count, count + width)
      const lacking = some.filter((cid) => !left.has(cidKey(cid)))
      const read = lacking.length === 0 ? [] : await this.#source.getBlocks(lacking, { signal })
      const answered = lacking.slice(0, read.length)
      for (const [i, cid] of answered.entries()) left.set(cidKey(cid), read[i])
      for (const cid of some) {
        // The source has stopped early.
        if (!left.has(cidKey(cid))) break
        const bytes = left.get(cidKey(cid))
        if (bytes !== undefined) {
          if (size > 0 && size + bytes.length > BODY_BYTES) {
            this.#left = left
            return { parts, count, blocks }
          }
          this.#checkKind(cid, bytes)
          parts.push(sectionHead(cid, bytes.length), bytes)
          size += bytes.length
          blocks += 1
        }
        left.delete(cidKey(cid))
        count += 1
      }
      // As many as will fit, by the sizes so far.
      if (size > 0) width = Math.max(1, Math.floor(((BODY_BYTES - size) * blocks) / size))
    }
    return { parts, count, blocks }
  }

  /**
   * Content that the dataset does not hold may lie in its store all the same, and is no part of a copy. Of linked
   * content it is not known whose it is.
   */
  #checkKind(cid: CidBytes, bytes: Uint8Array): void {
    if (this.#content === 'linked' || isRecord(cid, bytes)) return
    throw cidMatches(cid, bytes)
      ? notOurs(this.#to.location, cid)
      : damagedHere(this.#source.location, cid)
  }

  /** The newest commit of the source, which is held from now on in the place of the one before. */
  async #newest(): Promise<Uint8Array> {
    const { signal } = this.#options
    const stored = await this.#source.newest(this.#dataset, { signal })
    if (stored === undefined) throw noDataset(this.#dataset, this.#source.location)
    this.#content = stored.commit.settings.content
    const before = this.#release
    this.#release = await this.#source.hold(stored, { signal })
    await before()
    return stored.bytes
  }

  async #ask(
    call: Omit<Call, 'retry' | 'body'> & { readonly body?: Uint8Array },
  ): Promise<SyncState> {
    const { signal } = this.#options
    const patienceMs = WAIT_MS + (call.body?.length ?? 0) / SLOW_BYTES_PER_MS
    this.#requests += 1
    this.#askedAt = performance.now()
    const { http, patient } = this.#to
    const by = this.#sync === undefined ? http : patient
    return translated(async () => {
      const whole = { ...call, retry: 'always', signal, patienceMs } as const
      const state = checkedState(await by.json(whole))
      const { error = null } = state
      if (error !== null) throw endedBy(error)
      return state
    })
  }

  /** What is not gone on with need not wait for an answer over there. */
  async #giveUp(error: unknown): Promise<void> {
    if (this.#sync === undefined ? !mayHaveBegun(error) : this.isForgotten(error)) return
    const path = `${pathOf(this.#dataset)}/syncs/${this.#sync ?? this.#key}`
    const signal = AbortSignal.timeout(GIVE_UP_MS)
    const call = { method: 'DELETE', path, retry: 'unbegun', signal } as const
    await this.#to.http.json(call).catch(() => undefined)
  }
}

/** What is no CID is from outside, too. */
const readCids = (cids: readonly string[]): Promise<CidBytes[]> =>
  translated(async () => cids.map(parseCid))

function notOurs(location: string, cid: CidBytes): CairnError {
  return new CairnError(
    'backend_refused',
    `The service at ${location} asks for ${printCid(cid)}, which is no record of a dataset.`,
    {
      hint: 'It was not sent: contents of this dataset are external, and no copy has them. Look into the log over there.',
      cid: printCid(cid),
    },
  )
}

function damagedHere(location: string, cid: CidBytes): CairnError {
  return new CairnError(
    'block_mismatch',
    `The source ${location} has other bytes for ${printCid(cid)}.`,
    {
      hint: 'The block is damaged where it comes from; run `cairn verify` there.',
      cid: printCid(cid),
    },
  )
}

/** How the sync ended over there. It stays so, and is not asked for again: who began it may begin another. */
function endedBy({ code, message, hint }: SyncFailure): CairnClientError {
  return new CairnClientError(message, { code, hint })
}

/** It had no answer. */
function mayHaveBegun(error: unknown): boolean {
  return isCairnError(error) && isClientError(error.cause) && error.cause.uncertain
}

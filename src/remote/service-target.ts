/**
 * A replica behind another service. The sync is made over there: it asks, in its answers, for the newest commit and
 * for the blocks that it lacks, and has proved all of them when it says that it is done. Here is only what it is
 * given.
 *
 * A request that had no answer is sent again, as the same step. A service that does not know the sync any more was
 * started anew, or heard nothing for too long: another one is begun, which finds what was sent.
 */
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { carHeader, sectionHead } from '../car/encode.ts'
import { transport, type Call, type ConnectOptions, type Transport } from '../client/transport.ts'
import { noDataset } from '../engine/replica/check-target.ts'
import { logBefore } from '../engine/replica/log-ahead.ts'
import type { SyncSource } from '../engine/replica/source.ts'
import type { SyncOptions, SyncReport } from '../engine/replica/sync.ts'
import type { ReplicaTarget } from '../engine/replica/target.ts'
import { CairnError, isCairnError } from '../errors.ts'
import { cidKey, parseCid, type CidBytes } from '../model/cid.ts'
import { newestAt, pathOf } from './service-source.ts'
import { translated } from './service-errors.ts'

type Signal = AbortSignal | undefined

interface Transports {
  readonly http: Transport
  /** For a service that was there a moment ago. */
  readonly patient: Transport
}

/** What the service says of a sync under way. */
interface State {
  readonly sync: string
  readonly wants: 'newest' | 'blocks' | 'nothing'
  readonly step: number
  readonly cids: readonly string[]
  readonly log_from: number | null
  readonly report: (Omit<SyncReport, 'totalCount'> & { readonly total_count: number }) | null
}

/** One body has so much of what was asked for; the rest is asked for again. */
const BODY_BYTES = 4 << 20
/** Blocks that are read at once before it is known how large they are. */
const FIRST_READ = 16
/** Beyond the time of other requests: what the service waits before it answers, and a body on a slow line. */
const WAIT_MS = 5000
const SLOW_BYTES_PER_MS = 64
const GIVE_UP_MS = 2000
/** A service that is started anew may take its time; a minute is the most. */
const PATIENT_RETRIES = 30
const MOST_TRIES = 20
const AGAIN_MS = 200

export function serviceTarget(options: ConnectOptions): ReplicaTarget {
  const { url: location } = options
  const http = transport(options)
  const patient = transport({ retries: PATIENT_RETRIES, ...options })
  const closing = new AbortController()
  const until = (signal: Signal): AbortSignal =>
    signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
  return {
    location,
    async newest(dataset) {
      return (await newestAt(location, http, dataset, closing.signal))?.commit
    },
    async sync(source, dataset, { onProgress, signal } = {}) {
      for (let tries = 1; ; tries++) {
        const one = new Sending({ http, patient }, source, dataset, {
          onProgress,
          signal: until(signal),
        })
        try {
          return await one.run()
        } catch (error) {
          if (!one.isForgotten(error) || tries === MOST_TRIES) throw error
          await delay(AGAIN_MS, undefined, { signal: until(signal) }).catch(() => undefined)
        }
      }
    },
    async close() {
      closing.abort(new CairnError('closed', 'This store was closed.'))
    },
  }
}

interface Gathered {
  /** A CAR. */
  readonly parts: Uint8Array[]
  /** Of how many of the CIDs, from the first on, it has the blocks that there are. */
  readonly count: number
  readonly blocks: number
}

/** One sync, from its beginning at the service to its end. */
class Sending {
  readonly #to: Transports
  readonly #source: SyncSource
  readonly #dataset: string
  readonly #options: SyncOptions
  #sync: string | undefined
  #requests = 0
  #sent = 0
  /** Blocks that were read and did not fit into the last body: they are asked for next. */
  #left = new Map<string, Uint8Array | undefined>()
  #release: () => Promise<void> = async () => {}

  constructor(to: Transports, source: SyncSource, dataset: string, options: SyncOptions) {
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
      const { total_count: totalCount, ...report } = state.report
      const { location: source } = this.#source
      return { ...report, totalCount, source, requests: this.#requests }
    } catch (error) {
      await this.#giveUp(error)
      throw error
    } finally {
      await this.#release()
    }
  }

  async #begin(): Promise<State> {
    // On one line: it is shown to people over there.
    const from = `${hostname()}:${this.#source.location}`
      .slice(0, 500)
      .replaceAll(/\p{C}|\p{Z}/gu, ' ')
    const commit = Buffer.from(await this.#newest()).toString('utf8')
    return this.#ask({ method: 'POST', path: this.#path, json: { from, commit } })
  }

  get #path(): string {
    const syncs = `${pathOf(this.#dataset)}/syncs`
    return this.#sync === undefined ? syncs : `${syncs}/${this.#sync}`
  }

  #answer(state: State): Promise<State> {
    if (state.wants === 'nothing') return this.#ask({ method: 'GET', path: this.#path })
    return state.wants === 'newest' ? this.#answerNewest(state) : this.#answerBlocks(state)
  }

  async #answerNewest({ step }: State): Promise<State> {
    const body = await this.#newest()
    const path = `${this.#path}/${step}`
    return this.#ask({ method: 'PUT', path, body, type: 'application/json' })
  }

  async #answerBlocks({ step, cids, log_from: logFrom }: State): Promise<State> {
    const { onProgress, signal } = this.#options
    const { parts, count, blocks } = await this.#gather(cids.map(parseCid))
    const [block] = logFrom === null ? [] : parts.slice(2)
    if (block !== undefined && logFrom !== null)
      for await (const { cid, bytes } of logBefore(this.#source, block, logFrom, { signal }))
        parts.push(sectionHead(cid, bytes.length), bytes)
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

  /** The newest commit of the source, which is held from now on in the place of the one before. */
  async #newest(): Promise<Uint8Array> {
    const { signal } = this.#options
    const stored = await this.#source.newest(this.#dataset, { signal })
    if (stored === undefined) throw noDataset(this.#dataset, this.#source.location)
    const before = this.#release
    this.#release = await this.#source.hold(stored, { signal })
    await before()
    return stored.bytes
  }

  async #ask(call: Omit<Call, 'retry' | 'body'> & { readonly body?: Uint8Array }): Promise<State> {
    const { signal } = this.#options
    const patienceMs = WAIT_MS + (call.body?.length ?? 0) / SLOW_BYTES_PER_MS
    this.#requests += 1
    const { http, patient } = this.#to
    const by = this.#sync === undefined ? http : patient
    return translated(() => by.json<State>({ ...call, retry: 'always', signal, patienceMs }))
  }

  /** What is not gone on with need not wait for an answer over there. */
  async #giveUp(error: unknown): Promise<void> {
    if (this.#sync === undefined || this.isForgotten(error)) return
    const signal = AbortSignal.timeout(GIVE_UP_MS)
    const call = { method: 'DELETE', path: this.#path, retry: 'unbegun', signal } as const
    await this.#to.http.json(call).catch(() => undefined)
  }
}

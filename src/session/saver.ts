/**
 * Saver: makes snapshots of a session, one at a time. Whoever asks while one is made shares the next, which
 * covers all that was there when he asked; it bears the reason of the last who asked, and that of the clock only where nobody else did.
 *
 * "Saved" is said of a snapshot that was read back, proved and committed, and of nothing else.
 */
import type { Cairn } from '../cairn.ts'
import type { Logger } from '../engine/logger.ts'
import { CairnError, toCairnError } from '../errors.ts'
import { sessionMeta } from '../live/session-store.ts'
import type { LiveMaps } from '../live/maps.ts'
import { whenFree } from '../live/when-free.ts'
import { buildTask } from '../tasks/build.ts'
import { tellSessionFile } from '../tasks/session-file.ts'
import type { Sources } from './sources.ts'

export interface SaveReport {
  /** `unchanged`: all that there is was saved before. */
  readonly status: 'saved' | 'unchanged'
  readonly reason: string
  readonly snapshot: string
  readonly seq: number
  /** Keys of attached sources that had changed. */
  readonly written: number
  readonly users: number
  readonly nodes: number
  readonly ms: number
}

export interface SaverOptions {
  readonly cairn: Cairn
  readonly dataset: string
  readonly maps: LiveMaps
  readonly sources: Sources
  /** For `session_metadata.json`; undefined: it is not written. */
  readonly folder: string | undefined
  readonly log: Logger
  readonly now: () => number
}

export interface LastSave {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly report: SaveReport
}

export interface LastFailure {
  readonly at: number
  readonly reason: string
  readonly error: CairnError
}

interface Waiting {
  readonly reason: string
  readonly tags: readonly string[]
  readonly done: (report: SaveReport) => void
  readonly fail: (error: CairnError) => void
}

/** Why a save is made by the clock. */
export const AUTO_SAVE = 'auto-save'

/** That of the last who asked; the clock says least. */
function reasonOf(group: readonly Waiting[]): string {
  const told = group.findLast(({ reason }) => reason !== AUTO_SAVE) ?? group.at(-1)
  return told?.reason ?? AUTO_SAVE
}

export class Saver {
  readonly #options: SaverOptions
  readonly #waiting: Waiting[] = []
  #running = false
  #rounds = Promise.resolve()
  #telling = Promise.resolve()
  #last: LastSave | undefined
  #failure: LastFailure | undefined

  constructor(options: SaverOptions) {
    this.#options = options
  }

  get last(): LastSave | undefined {
    return this.#last
  }

  /** The newest try, if it failed. */
  get failure(): LastFailure | undefined {
    return this.#failure
  }

  /** Until nothing is saved any more, and the file for people says what was saved last. */
  async ended(): Promise<void> {
    while (this.#running) await this.#rounds
    await this.#telling
  }

  save(reason: string, tags: readonly string[] = []): Promise<SaveReport> {
    if (this.#options.sources.isCapturing) return Promise.reject(askedWithin())
    return new Promise((done, fail) => {
      this.#waiting.push({ reason, tags, done, fail })
      if (!this.#running) this.#rounds = this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    // Those who ask in one turn share one save.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0)
      const reason = reasonOf(group)
      const tags = [...new Set(group.flatMap((one) => one.tags))]
      try {
        const report = await this.#save(reason, tags)
        this.#succeeded(report)
        for (const { done } of group) done(report)
      } catch (cause) {
        const error = toCairnError(cause)
        this.#failed(reason, error)
        for (const { fail } of group) fail(error)
      }
    }
    this.#running = false
  }

  async #save(reason: string, tags: readonly string[]): Promise<SaveReport> {
    const { cairn, dataset: name, maps, sources } = this.#options
    const began = performance.now()
    const written = await sources.save()
    await maps.flush()
    const dataset = await cairn.dataset(name)
    const meta = (await sessionMeta(dataset)) ?? {}
    const { status, snapshot, seq } = await whenFree(() =>
      buildTask({ cairn, dataset: name }, { reason, tags, meta }),
    )
    return {
      status: status === 'built' ? 'saved' : 'unchanged',
      reason,
      snapshot,
      seq,
      written,
      users: Number(meta['user_count'] ?? 0),
      nodes: Number(meta['node_count'] ?? 0),
      ms: performance.now() - began,
    }
  }

  #succeeded(report: SaveReport): void {
    const { now, log, dataset } = this.#options
    this.#failure = undefined
    this.#last = { at: now(), report }
    if (report.status === 'unchanged') {
      log.debug('session.unchanged', { dataset, reason: report.reason })
      return
    }
    const { reason, snapshot, seq, ms, nodes } = report
    const message = `✓ Session saved to disk (reason: ${reason})`
    log.info('session.saved', {
      dataset,
      reason,
      snapshot,
      seq,
      nodes,
      ms: Math.round(ms),
      message,
    })
    this.#telling = this.#telling.then(() => this.#tellFile())
  }

  async #tellFile(): Promise<void> {
    const { folder, cairn, dataset, log } = this.#options
    await tellSessionFile(folder, await cairn.dataset(dataset), log)
  }

  #failed(reason: string, error: CairnError): void {
    const { now, log, dataset } = this.#options
    this.#failure = { at: now(), reason, error }
    const message = `Failed to save (reason: ${reason}): ${error.message}`
    log.error('session.save_failed', {
      dataset,
      reason,
      code: error.code,
      hint: error.hint,
      message,
    })
  }
}

/** It would wait for itself. */
const askedWithin = (): CairnError =>
  new CairnError('usage', 'A save was asked for by a source that is being saved.', {
    hint: 'Only give the state in `capture`; save elsewhere.',
  })

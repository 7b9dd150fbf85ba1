/**
 * Session: the live state of one program: its maps, its attached sources, who is connected, and when all of it
 * is saved and backed up. `openSession` makes one, with what was there before the program ended last.
 */
import type { Cairn } from '../cairn.ts'
import type { FellBack } from '../engine/fall-back.ts'
import type { Logger } from '../engine/logger.ts'
import type { At } from '../engine/time.ts'
import { CairnError } from '../errors.ts'
import type { LiveMap, MapOptions } from '../live/map.ts'
import type { LiveMaps } from '../live/maps.ts'
import { restoreMaps, undelete, type RestoredMaps } from '../live/restore.ts'
import { checkUser, disconnectReason, withoutUsers, withUser } from '../live/session-record.ts'
import type { SessionEdit, SessionStore } from '../live/session-store.ts'
import { whenFree } from '../live/when-free.ts'
import type { IpldMap } from '../model/ipld.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { startAutosave, EVERY_MS, type AutosaveOptions } from './autosave.ts'
import type { SessionBackups } from './backups.ts'
import { betweenWrites } from './between-writes.ts'
import { Presence } from './presence.ts'
import { AUTO_SAVE, type LastFailure, type LastSave, type SaveReport, type Saver } from './saver.ts'
import type { Source, Sources } from './sources.ts'

/** What was found when the session was opened. */
export interface Restored {
  /** `new`: there was nothing. `fell_back`: the newest state was damaged, and the newest good one is current. */
  readonly from: 'new' | 'newest' | 'fell_back' | 'fresh'
  /** When it was saved last, in milliseconds since 1970. */
  readonly savedAt: number
  readonly users: readonly string[]
  /** What was lost and why, where it fell back. */
  readonly report?: FellBack | undefined
}

export interface SessionHealth {
  readonly healthy: boolean
  /** In words; empty when healthy. */
  readonly problems: readonly string[]
  readonly lastSave: LastSave | undefined
  readonly lastFailure: LastFailure | undefined
}

export interface SessionParts {
  readonly cairn: Cairn
  readonly dataset: string
  readonly maps: LiveMaps
  readonly sources: Sources
  readonly saver: Saver
  readonly backups: SessionBackups
  readonly record: SessionStore
  readonly restored: Restored
  /** Snapshots that stay. */
  readonly keep: RetentionPolicy
  readonly isExcluded: (map: string) => boolean
  readonly log: Logger
  readonly now: () => number
  /** Closes what was opened for this session. */
  readonly release: () => Promise<void>
}

export class Session {
  readonly restored: Restored
  /** CARs of it, each whole. */
  readonly backups: SessionBackups
  readonly #parts: SessionParts
  readonly #presence: Presence
  /** Silent users that cannot be disconnected now. */
  readonly #stuck = new Set<string>()
  #backing: Promise<void> | undefined
  #backupFailure: string | undefined
  #autosave:
    | { readonly options: AutosaveOptions; readonly stop: () => void; readonly since: number }
    | undefined
  #backedUp = ''
  #ending: Promise<boolean> | undefined
  #released: Promise<void> | undefined

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.restored = parts.restored
    this.backups = parts.backups
    this.#presence = new Presence((user) => void this.#lose(user))
  }

  /** `active` once it was initialized, also after a restart. */
  get state(): 'new' | 'active' {
    return this.initialized ? 'active' : 'new'
  }

  get initialized(): boolean {
    return this.#parts.record.known.initialized
  }

  /** Who is connected, by name. */
  get users(): readonly string[] {
    return Object.keys(this.#parts.record.known.users).toSorted()
  }

  /** Free metadata. */
  get metadata(): IpldMap {
    return this.#parts.record.known.metadata
  }

  /** Says that there is something to keep; the first time it is saved at once. */
  async initialize(): Promise<void> {
    // What is known may be older than a rollback by another program.
    const isNew = await this.#change((record) =>
      record.initialized ? record : { ...record, initialized: true },
    )
    if (isNew) await this.save('init')
  }

  async setMetadata(metadata: IpldMap): Promise<void> {
    await this.#change((record) => ({ ...record, metadata }))
  }

  /** With a `timeout` a user of whom nothing is heard for so many milliseconds is disconnected. */
  async connect(
    user: string,
    { timeout = null }: { readonly timeout?: number | null } = {},
  ): Promise<void> {
    const { now, log, dataset } = this.#parts
    const connected = { since: now(), timeout_ms: timeout }
    await this.#change((record) => withUser(record, user, connected))
    this.#stuck.delete(user)
    this.#presence.connected(user, timeout)
    log.info('session.connected', { dataset, user, message: `User connected: ${user}` })
  }

  heartbeat(user: string): void {
    this.#presence.heard(user)
  }

  /** Of one who cannot be disconnected now that is tried again. */
  async #lose(user: string): Promise<void> {
    const timeout = this.#parts.record.known.users[user]?.timeout_ms ?? null
    try {
      await this.disconnect(user)
    } catch (error) {
      // Of a save that failed when he was gone, that one has told.
      if (this.#ending !== undefined || !this.users.includes(user)) return
      this.#presence.connected(user, timeout)
      this.#tellStuck(user, error)
    }
  }

  /** Once, however often it is tried until it succeeds. */
  #tellStuck(user: string, error: unknown): void {
    if (this.#stuck.has(user)) return
    this.#stuck.add(user)
    const { log, dataset } = this.#parts
    const why = error instanceof Error ? error.message : String(error)
    const message = `User could not be disconnected: ${user}: ${why}`
    log.error('session.disconnect_failed', { dataset, user, message })
  }

  /** Durable when it resolves; saved, too, where autosave does so. Of somebody who is not connected it does nothing. */
  async disconnect(user: string): Promise<void> {
    checkUser(user)
    const { log, dataset } = this.#parts
    this.#presence.gone(user)
    const wasConnected = await this.#change((record) => withoutUsers(record, [user]))
    this.#stuck.delete(user)
    if (!wasConnected) return
    log.info('session.disconnected', { dataset, user, message: `User disconnected: ${user}` })
    const options = this.#autosave?.options
    if (options !== undefined && options.onDisconnect !== false)
      await this.save(disconnectReason(user))
  }

  /** A map of the session; the default one unless it is named. Of those that are excluded nothing is kept. */
  map<V = unknown>(name?: string, options: MapOptions<V> = {}): Promise<LiveMap<V>> {
    const excluded = name !== undefined && this.#parts.isExcluded(name)
    return this.#parts.maps.map<V>(name, excluded ? { ...options, persist: false } : options)
  }

  /** State that the program holds itself is saved with the session from now on, in a map of this name. */
  async attach<V>(name: string, source: Source<V>): Promise<void> {
    const map = await this.map<V>(name)
    if (!this.#parts.maps.isKept(map.name)) {
      throw new CairnError(
        'usage',
        `The map "${name}" is in memory only: nothing of a source is saved there.`,
        {
          hint: 'Use a name that is not excluded, of a map that was not opened with `persist: false`.',
        },
      )
    }
    await this.#parts.sources.attach(map, source)
  }

  /** What was saved of it stays. */
  detach(name: string): void {
    this.#parts.sources.detach(name)
  }

  /** Makes a snapshot of everything, unless there is nothing new. Rejects when not all of it could be saved. */
  save(
    reason = 'manual',
    { tags = [] }: { readonly tags?: readonly string[] } = {},
  ): Promise<SaveReport> {
    return this.#parts.saver.save(reason, tags)
  }

  /** From now on it is saved by itself. */
  autosave(options: AutosaveOptions = {}): void {
    const { log, dataset } = this.#parts
    const before = this.#autosave
    const stop = startAutosave(options, {
      save: (reason) => this.save(reason),
      backup: () => (this.#backing = this.#backUp()),
      shutdown: () => this.shutdown(),
      log,
    })
    before?.stop()
    this.#autosave = { options, stop, since: performance.now() }
    const { every = EVERY_MS } = options
    const message =
      every > 0
        ? `✓ Auto-save enabled (interval: ${every / 1000}s)`
        : 'Auto-save by interval is off'
    log.info('session.autosave', { dataset, every, message })
  }

  /** A backup of what was saved since the last one, and only the snapshots stay that are to be kept. */
  async #backUp(): Promise<void> {
    const { cairn, dataset: name, keep, log } = this.#parts
    try {
      await this.save(AUTO_SAVE)
      const dataset = await cairn.dataset(name)
      const { seq } = await dataset.head()
      if (this.#backedUp === String(seq)) return
      const { filename, size } = await whenFree(() => this.backups.create())
      this.#backedUp = String(seq)
      this.#backupFailure = undefined
      log.info('session.backed_up', {
        dataset: name,
        filename,
        size,
        message: `Backup completed: ${filename}`,
      })
      await whenFree(() => dataset.prune({ policy: keep }))
    } catch (error) {
      const message = `Backup failed: ${error instanceof Error ? error.message : String(error)}`
      this.#backupFailure = message
      log.error('session.backup_failed', { dataset: name, message })
    }
  }

  /** Makes maps what they were at a moment: all of them unless some are named. In one commit, on top of what is there. */
  async restore(
    at: At,
    { maps }: { readonly maps?: readonly string[] | undefined } = {},
  ): Promise<RestoredMaps> {
    const { cairn, dataset: name, maps: live, now } = this.#parts
    const dataset = await cairn.dataset(name)
    const change = (): Promise<RestoredMaps> => restoreMaps(dataset, { dataset, at }, { maps, now })
    return betweenWrites(live, dataset, change)
  }

  /** Sets a deleted or expired key as it was last; false where it is there, or the log no longer tells. */
  async undelete(map: string, key: string): Promise<boolean> {
    const { cairn, dataset: name, maps, now } = this.#parts
    const dataset = await cairn.dataset(name)
    return betweenWrites(maps, dataset, () => undelete(dataset, map, key, { now }))
  }

  health(): SessionHealth {
    const { saver, sources, maps } = this.#parts
    const { failure } = saver
    const problems = [
      ...(failure === undefined ? [] : [`The last save failed: ${failure.error.message}`]),
      ...sources.missing.map((name) => `The source "${name}" is not attached.`),
      ...(this.#backupFailure === undefined ? [] : [this.#backupFailure]),
      ...maps.trouble.map(({ error }) => error.message),
      ...this.#overdue(),
    ]
    return { healthy: problems.length === 0, problems, lastSave: saver.last, lastFailure: failure }
  }

  #overdue(): string[] {
    const { saver, now } = this.#parts
    const every = this.#autosave?.options.every ?? EVERY_MS
    if (this.#autosave === undefined || every === 0) return []
    const running = performance.now() - this.#autosave.since
    const since = Math.min(running, saver.last === undefined ? running : now() - saver.last.at)
    return since > 2 * every + 10_000
      ? [`Nothing was saved for ${Math.round(since / 1000)} s.`]
      : []
  }

  /** The last save, and the end: says in the log how it went. False when not everything was saved. */
  shutdown(): Promise<boolean> {
    this.#ending ??= this.#shutdown()
    return this.#ending
  }

  async #shutdown(): Promise<boolean> {
    const { log, dataset, maps, sources } = this.#parts
    const say = (event: string, message: string): void => log.info(event, { dataset, message })
    say('session.ending', 'Shutting down server...')
    say('session.last_save', 'Performing final backup...')
    const count = maps.kept + sources.missing.length
    const saved = await this.save('shutdown').then(
      () => true,
      () => false,
    )
    say('session.last_saved', `Backup completed: ${saved ? count : 0}/${count} successful`)
    say('session.cleaning', 'Cleaning up resources...')
    const closed = await this.#release().then(
      () => true,
      () => false,
    )
    say('session.ended', 'Server shutdown complete.')
    return saved && closed
  }

  /** Saves, unless told not to, and closes. Rejects when not everything could be saved; it is closed all the same. */
  async close({ save = true }: { readonly save?: boolean } = {}): Promise<void> {
    if (this.#released !== undefined) return this.#released
    try {
      if (save && this.#ending === undefined) await this.save('close')
    } finally {
      await (this.#ending ?? this.#release())
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #release(): Promise<void> {
    this.#released ??= this.#releaseOnce()
    return this.#released
  }

  /** What is under way still needs the store. */
  async #releaseOnce(): Promise<void> {
    this.#autosave?.stop()
    this.#presence.stop()
    await this.#backing
    await this.#parts.saver.ended()
    await this.#parts.release()
  }

  /** Whether it was one. */
  async #change(change: SessionEdit): Promise<boolean> {
    if (this.#ending !== undefined) throw new CairnError('closed', 'This session has ended.')
    const { before, after } = await this.#parts.record.change(change)
    return before !== after
  }
}

/**
 * Leases: small files that say that somebody is alive. One kind of them lies in each of three folders:
 * what an owner of a backend asked for, stagings, sweeps.
 *
 * File name: `<UTC time>-<random>`. Content: JSON `{note, since, renewed}`, rewritten every ten minutes.
 * A lease is void an hour after its last renewal. Its owner stops believing in it long before, so that
 * what it has sent by then has come to its end when others stop believing, too; a process that slept
 * through that time does not get its lease back.
 */
import { CairnError } from '../../errors.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { Mfs } from './mfs.ts'
import { mapAtOnce } from './queue.ts'
import { timedName, timeOfName } from './timed-name.ts'

export const VOID_MS: number = 60 * 60 * 1000
const RENEW_MS = 10 * 60 * 1000
/** The age of a renewal up to which its owner relies on it for one more request. */
export const SOUND_MS: number = 30 * 60 * 1000
/** The age of a renewal from which there is no other: one that is sent now must land before it is void. */
const LAST_RENEWAL_MS = 45 * 60 * 1000
const AT_ONCE = 16

export interface LeaseFile {
  readonly name: string
  readonly path: string
  /** When its owner was last known to be alive. */
  readonly sign: number
  /** `undefined`: it cannot be read. */
  readonly note: string | undefined
}

/** What a lease asks of its folder. */
interface Home {
  readonly mfs: Mfs
  readonly folder: string
  readonly now: () => number
  readonly onError: (error: unknown) => void
  /** It is not renewed any more. */
  readonly stopped: (lease: KuboLease) => void
  /** Removes files, now or later. */
  readonly remove: (paths: readonly string[]) => Promise<void>
}

/** One that this process holds. */
export class KuboLease {
  readonly name: string
  readonly path: string
  readonly #home: Home
  readonly #note: string
  readonly #since: number
  readonly #timer: NodeJS.Timeout
  #renewed: number
  #written = false
  #lost = false

  constructor(home: Home, note: string) {
    this.#home = home
    this.#note = note
    this.#since = home.now()
    this.#renewed = this.#since
    this.name = timedName(this.#since)
    this.path = `${home.folder}/${this.name}`
    this.#timer = setInterval(() => this.#renew(), RENEW_MS).unref()
  }

  /** Puts the file there, or renews it. */
  async write(options?: CallOptions): Promise<void> {
    const { mfs, now } = this.#home
    const at = now()
    const content = { note: this.#note, since: this.#since, renewed: at }
    const bytes = Buffer.from(JSON.stringify(content))
    if (this.#written) await mfs.rewrite(this.path, bytes, options)
    else await mfs.write(this.path, bytes, options)
    this.#written = true
    this.#renewed = at
  }

  /** Whether what is done now is done under the lease. Once it was not, it never is again. */
  sound(): boolean {
    return !this.#isLost() && this.#home.now() - this.#renewed <= SOUND_MS
  }

  /** No more renewals. The file stays. */
  stop(): void {
    clearInterval(this.#timer)
    this.#home.stopped(this)
  }

  /**
   * No more renewals, and the file goes, after what lies at the paths `along`. What could not be removed
   * is removed when the next lease is taken, or at the end; until then it counts for nothing here.
   */
  async release(along: readonly string[] = []): Promise<void> {
    this.stop()
    await this.#home.remove([...along, this.path])
  }

  #renew(): void {
    if (this.#isLost()) this.stop()
    else this.write().catch(this.#home.onError)
  }

  #isLost(): boolean {
    this.#lost ||= this.#home.now() - this.#renewed > LAST_RENEWAL_MS
    return this.#lost
  }
}

export class LeaseFolder {
  readonly #home: Home
  readonly #running = new Set<KuboLease>()
  /** Files of leases that have ended. */
  readonly #owed = new Set<string>()
  /** Names of leases that nobody was given. */
  readonly #failed = new Set<string>()

  constructor(mfs: Mfs, folder: string, now: () => number, onError: (error: unknown) => void) {
    const stopped = (lease: KuboLease): void => void this.#running.delete(lease)
    const remove = (paths: readonly string[]): Promise<void> => this.#remove(paths)
    this.#home = { mfs, folder, now, onError, stopped, remove }
  }

  /** Durable when it returns. */
  async take(note: string, options?: CallOptions): Promise<KuboLease> {
    await this.#removeOwed().catch(this.#home.onError)
    const lease = this.takeLate(note)
    try {
      await lease.write(options)
    } catch (error) {
      // It may have been written, or be written yet.
      this.#failed.add(lease.name)
      await lease.release().catch(this.#home.onError)
      throw error
    }
    return lease
  }

  /** Without a file until its first renewal: its name says that it lives, for as long. */
  takeLate(note: string): KuboLease {
    const lease = new KuboLease(this.#home, note)
    this.#running.add(lease)
    return lease
  }

  /** All files, void ones, too. */
  async list(options?: CallOptions): Promise<LeaseFile[]> {
    const { mfs, folder } = this.#home
    const names = (await mfs.list(folder, options)) ?? []
    const isLiving = (name: string): boolean =>
      !this.#failed.has(name) && !this.#owed.has(`${folder}/${name}`)
    const living = names.filter(isLiving)
    const files = await mapAtOnce(living, AT_ONCE, (name) => this.#read(name, options))
    return files.filter((file) => file !== undefined)
  }

  isVoid({ sign }: LeaseFile): boolean {
    return this.#home.now() - sign > VOID_MS
  }

  /** Stops all renewals. The files stay. */
  stop(): void {
    for (const lease of this.#running) lease.stop()
  }

  /** Releases all that were neither stopped nor released. */
  async releaseAll(): Promise<void> {
    for (const { path } of this.#running) this.#owed.add(path)
    this.stop()
    await this.#removeOwed()
  }

  async #remove(paths: readonly string[]): Promise<void> {
    for (const path of paths) this.#owed.add(path)
    await this.#removeOwed()
  }

  async #removeOwed(): Promise<void> {
    const paths = [...this.#owed]
    if (paths.length > 0) await this.#home.mfs.remove(paths)
    for (const path of paths) this.#owed.delete(path)
  }

  async #read(name: string, options?: CallOptions): Promise<LeaseFile | undefined> {
    const made = timeOfName(name)
    if (made === undefined) return undefined
    const { mfs, folder } = this.#home
    const path = `${folder}/${name}`
    const bytes = await mfs.read(path, options)
    if (bytes === undefined) return undefined
    const content = parseContent(bytes)
    if (content === undefined) return { name, path, sign: made, note: undefined }
    return { name, path, sign: Math.max(made, content.renewed), note: content.note }
  }
}

/** The notes of the leases that are not void. What a live one keeps must be known, or nothing is. */
export async function leaseNotes(
  folder: LeaseFolder,
  onError: (error: unknown) => void,
  options?: CallOptions,
): Promise<string[]> {
  const notes: string[] = []
  for (const file of await folder.list(options)) {
    if (file.note === undefined) {
      if (!folder.isVoid(file)) throw unreadable(file.path)
      onError(unreadable(file.path))
    } else if (!folder.isVoid(file)) notes.push(file.note)
  }
  return notes
}

export function unreadable(path: string): CairnError {
  return new CairnError('busy', `What ${path} keeps from being freed cannot be read.`, {
    hint: 'It counts for an hour after it was made. `ipfs files read` shows it; remove it if it is nobody’s.',
    path,
  })
}

function parseContent(bytes: Uint8Array): { note: string; renewed: number } | undefined {
  try {
    const { note, renewed } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>
    if (typeof note !== 'string' || !Number.isSafeInteger(renewed)) return undefined
    return { note, renewed: renewed as number }
  } catch {
    return undefined
  }
}

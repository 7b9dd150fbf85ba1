/**
 * Leases: small files that say that somebody is alive. One kind of them lies in each of three folders:
 * what an owner of a backend asked for, stagings, sweeps.
 *
 * File name: `<UTC time>-<random>`, with `.<n>` behind it for the nth renewal, which is a file of its own
 * (`Mfs.put`), there before the one before it goes. Content: JSON `{note, since, renewed}`.
 *
 * A lease is renewed every ten minutes, and void an hour after its last renewal. Its owner stops believing
 * in it long before, so that what it has sent by then has come to its end when others stop believing, too;
 * a process that slept through that time does not get its lease back.
 */
import { CairnError } from '../../errors.ts'
import type { CallOptions } from '../../store/backend.ts'
import { mapAtOnce } from '../../util/in-order.ts'
import type { Mfs } from './mfs.ts'
import { timedName, timeOfName } from './timed-name.ts'

export const VOID_MS: number = 60 * 60 * 1000
const RENEW_MS = 10 * 60 * 1000
/** The age of a renewal up to which its owner relies on it for one more request. */
export const SOUND_MS: number = 30 * 60 * 1000
/** The age of a renewal from which there is no other: one that is sent now must land before it is void. */
const LAST_RENEWAL_MS = 45 * 60 * 1000
const AT_ONCE = 16

/** What the files of a lease say. */
export interface FoundLease {
  readonly name: string
  readonly paths: readonly string[]
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
  readonly #home: Home
  readonly #note: string
  readonly #since: number
  readonly #timer: NodeJS.Timeout
  /** Those that may be there. */
  #paths: string[] = []
  #writes = 0
  #renewed: number
  #renewing: Promise<void> | undefined
  #lost = false

  constructor(home: Home, note: string) {
    this.#home = home
    this.#note = note
    this.#since = home.now()
    this.#renewed = this.#since
    this.name = timedName(this.#since)
    this.#timer = setInterval(() => this.#renew(), RENEW_MS).unref()
  }

  get paths(): readonly string[] {
    return this.#paths
  }

  /** Puts the first file there, or renews it. */
  async write(options?: CallOptions): Promise<void> {
    const { mfs, folder, now } = this.#home
    const at = now()
    const content = { note: this.#note, since: this.#since, renewed: at }
    const before = this.#paths
    const path = `${folder}/${nameOfFile(this.name, this.#writes++)}`
    this.#paths = [...before, path]
    await mfs.put(path, Buffer.from(JSON.stringify(content)), options)
    this.#renewed = at
    if (before.length === 0) return
    await mfs.remove(before)
    this.#paths = this.#paths.filter((one) => !before.includes(one))
  }

  /** Whether what is done now is done under the lease. Once it was not, it never is again. */
  sound(): boolean {
    return !this.#isLost() && this.#home.now() - this.#renewed <= SOUND_MS
  }

  /** No more renewals. The files stay. */
  stop(): void {
    clearInterval(this.#timer)
    this.#home.stopped(this)
  }

  /**
   * No more renewals, and the files go, after what lies at the paths `along`. What could not be removed
   * is removed when the next lease is taken, or at the end; until then it counts for nothing here.
   */
  async release(along: readonly string[] = []): Promise<void> {
    this.stop()
    await this.settled()
    await this.#home.remove([...along, ...this.#paths])
  }

  /** Waits for a renewal that is under way. */
  async settled(): Promise<void> {
    await this.#renewing
  }

  /** One at a time: a file that comes after the one that follows it would stay. */
  #renew(): void {
    if (this.#isLost()) return this.stop()
    this.#renewing ??= this.write()
      .catch(this.#home.onError)
      .finally(() => (this.#renewing = undefined))
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

  /** All of them, void ones, too. */
  async list(options?: CallOptions): Promise<FoundLease[]> {
    const { mfs, folder } = this.#home
    const found = new Map<string, FoundLease>()
    for (;;) {
      const files = (await mfs.list(folder, options)) ?? []
      const counting = files.filter((file) => !this.#owed.has(`${folder}/${file}`))
      const news = [...filesByLease(counting)].filter(
        ([name]) => !found.has(name) && !this.#failed.has(name),
      )
      let missed = false
      await mapAtOnce(news, AT_ONCE, async ([name, itsFiles]) => {
        const lease = await this.#read(name, itsFiles, options)
        if (lease === undefined) missed = true
        else found.set(name, lease)
      })
      // Gone since it was listed: it ended, or there is a newer file of it.
      if (!missed) return [...found.values()]
    }
  }

  isVoid({ sign }: FoundLease): boolean {
    return this.#home.now() - sign > VOID_MS
  }

  /** Stops all renewals. The files stay. */
  stop(): void {
    for (const lease of this.#running) lease.stop()
  }

  /** Releases all that were neither stopped nor released. */
  async releaseAll(): Promise<void> {
    const running = [...this.#running]
    this.stop()
    await Promise.all(running.map((lease) => lease.settled()))
    await this.#remove(running.flatMap(({ paths }) => paths))
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

  /** What its newest file says. `undefined`: that is gone. */
  async #read(
    name: string,
    files: readonly string[],
    options?: CallOptions,
  ): Promise<FoundLease | undefined> {
    const { mfs, folder } = this.#home
    const paths = files.map((file) => `${folder}/${file}`)
    const bytes = await mfs.read(paths.at(-1) ?? '', options)
    if (bytes === undefined) return undefined
    const made = timeOfName(name) ?? 0
    const { note, renewed = made } = parseContent(bytes) ?? {}
    return { name, paths, sign: Math.max(made, renewed), note }
  }
}

/** The notes of the leases that are not void. What a live one keeps must be known, or nothing is. */
export async function leaseNotes(
  folder: LeaseFolder,
  onError: (error: unknown) => void,
  options?: CallOptions,
): Promise<string[]> {
  const notes: string[] = []
  for (const lease of await folder.list(options)) {
    if (lease.note === undefined) {
      if (!folder.isVoid(lease)) throw unreadable(lease.paths)
      onError(unreadable(lease.paths))
    } else if (!folder.isVoid(lease)) notes.push(lease.note)
  }
  return notes
}

export function unreadable(paths: readonly string[]): CairnError {
  const path = paths.at(-1) ?? ''
  return new CairnError('busy', `What ${path} keeps from being freed cannot be read.`, {
    hint: 'It counts for an hour after it was made. `ipfs files read` shows it; remove it if it is nobody’s.',
    path,
  })
}

const LEASE_FILE = /^(?<name>.+-[0-9a-f]{12})(?:\.(?<renewal>\d{1,9}))?$/

const nameOfFile = (name: string, renewal: number): string =>
  renewal === 0 ? name : `${name}.${renewal}`

/** The files of each lease, the newest last. Other names are other people's. */
function filesByLease(files: readonly string[]): Map<string, string[]> {
  const known = files.flatMap((file) => {
    const { name = '', renewal = '0' } = LEASE_FILE.exec(file)?.groups ?? {}
    return timeOfName(name) === undefined ? [] : { file, name, renewal: Number(renewal) }
  })
  const leases = new Map<string, string[]>()
  for (const { file, name } of known.sort((a, b) => a.renewal - b.renewal))
    leases.set(name, [...(leases.get(name) ?? []), file])
  return leases
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

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

export interface KuboLease {
  readonly name: string
  readonly path: string
  /** Whether what is done now is done under the lease. Once it was not, it never is again. */
  sound(): boolean
  /** No more renewals. The file stays. */
  stop(): void
  /**
   * No more renewals, and the file goes, after what lies at the paths `along`. What could not be removed
   * is removed when the next lease is taken, or at the end; until then it counts for nothing here.
   */
  release(along?: readonly string[]): Promise<void>
}

export interface LeaseFile {
  readonly name: string
  readonly path: string
  /** When its owner was last known to be alive. */
  readonly sign: number
  /** `undefined`: it cannot be read. */
  readonly note: string | undefined
}

export interface LeaseFolder {
  /** Durable when it returns. */
  take(note: string, options?: CallOptions): Promise<KuboLease>
  /** Without a file until its first renewal: its name says that it lives, for as long. */
  takeLate(note: string): KuboLease
  /** All files, void ones, too. */
  list(options?: CallOptions): Promise<LeaseFile[]>
  isVoid(file: LeaseFile): boolean
  /** Stops all renewals. The files stay. */
  stop(): void
  /** Releases all that were neither stopped nor released. */
  releaseAll(): Promise<void>
}

export function createLeaseFolder(
  mfs: Mfs,
  folder: string,
  now: () => number,
  onError: (error: unknown) => void,
): LeaseFolder {
  const running = new Map<() => void, string>()
  /** Of leases that have ended. */
  const owed = new Set<string>()
  /** Names of leases that nobody was given. */
  const failed = new Set<string>()
  const removeOwed = async (): Promise<void> => {
    const paths = [...owed]
    if (paths.length > 0) await mfs.remove(paths)
    for (const path of paths) owed.delete(path)
  }

  const make = (note: string): KuboLease & { write(options?: CallOptions): Promise<void> } => {
    const since = now()
    const name = timedName(since)
    const path = `${folder}/${name}`
    let renewed = since
    let written = false
    let lost = false
    const checkLost = (): boolean => (lost ||= now() - renewed > LAST_RENEWAL_MS)
    const write = async (options?: CallOptions): Promise<void> => {
      const at = now()
      const bytes = Buffer.from(JSON.stringify({ note, since, renewed: at }))
      await (written ? mfs.rewrite(path, bytes, options) : mfs.write(path, bytes, options))
      written = true
      renewed = at
    }
    const timer = setInterval(() => {
      if (checkLost()) stop()
      else write().catch(onError)
    }, RENEW_MS)
    timer.unref()
    const stop = (): void => {
      clearInterval(timer)
      running.delete(stop)
    }
    running.set(stop, path)
    return {
      name,
      path,
      write,
      stop,
      sound: () => !checkLost() && now() - renewed <= SOUND_MS,
      async release(along = []) {
        stop()
        for (const one of [...along, path]) owed.add(one)
        await removeOwed()
      },
    }
  }

  const readFile = async (name: string, options?: CallOptions): Promise<LeaseFile | undefined> => {
    const made = timeOfName(name)
    if (made === undefined) return undefined
    const path = `${folder}/${name}`
    const bytes = await mfs.read(path, options)
    if (bytes === undefined) return undefined
    const content = parseContent(bytes)
    if (content === undefined) return { name, path, sign: made, note: undefined }
    return { name, path, sign: Math.max(made, content.renewed), note: content.note }
  }

  return {
    async take(note, options) {
      await removeOwed().catch(onError)
      const lease = make(note)
      try {
        await lease.write(options)
      } catch (error) {
        // It may have been written, or be written yet.
        failed.add(lease.name)
        await lease.release().catch(onError)
        throw error
      }
      return lease
    },
    takeLate: make,
    async list(options) {
      const names = (await mfs.list(folder, options)) ?? []
      const living = names.filter((name) => !failed.has(name) && !owed.has(`${folder}/${name}`))
      const files = await mapAtOnce(living, AT_ONCE, (name) => readFile(name, options))
      return files.filter((file) => file !== undefined)
    },
    isVoid: ({ sign }) => now() - sign > VOID_MS,
    stop() {
      for (const stop of running.keys()) stop()
    },
    async releaseAll() {
      for (const path of running.values()) owed.add(path)
      for (const stop of running.keys()) stop()
      await removeOwed()
    },
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

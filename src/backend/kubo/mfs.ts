/**
 * The node's MFS, as far as Cairn uses it.
 *
 * Changes made through one `Mfs` are sent one after another: Kubo carries a change from directory to
 * directory up to the root without a lock over all of it, so of two changes at once the one that
 * arrives last may write a root without the other, and that root is what a killed node starts from. What
 * several processes do about it, and what else there is, ADR 23 says.
 */
import type { CallOptions } from '../../store/backend.ts'
import { mapOf, notAnAnswer } from './answers.ts'
import type { KuboClient } from './client.ts'
import { createQueue } from './queue.ts'
import { means } from './refusals.ts'
import { putWhole } from './whole-file.ts'

export interface ChangeOptions extends CallOptions {
  /** Asked when it is this change's turn, however long it waited; throws where it must not be sent now. */
  readonly mayGoOn?: () => void
}

export interface Mfs {
  /** The names in a directory, unsorted; `undefined` when there is no such directory. */
  list(path: string, options?: CallOptions): Promise<string[] | undefined>
  read(path: string, options?: CallOptions): Promise<Uint8Array | undefined>
  /** The CID of what is at `path`; `undefined` where nothing is. */
  cidAt(path: string, options?: CallOptions): Promise<string | undefined>
  /** With its parents; no error when it exists. */
  makeDirectory(path: string, options?: CallOptions): Promise<void>
  /** Puts what `cid` names at `path`, where the directory must be and the name must be free. */
  link(cid: string, path: string, options?: ChangeOptions): Promise<void>
  /**
   * A small file, under a name that nobody gives to other bytes: there whole or not at all, and no error
   * when it is there. Makes the directories.
   */
  put(path: string, bytes: Uint8Array, options?: CallOptions): Promise<void>
  /** Replaces the file. Makes the directories. For copies: what others rely on is `put` (`whole-file.ts`). */
  write(path: string, bytes: Uint8Array, options?: CallOptions): Promise<void>
  /** Replaces a file that is there. */
  rewrite(path: string, bytes: Uint8Array, options?: CallOptions): Promise<void>
  /** No error when a path is missing; directories with all in them. */
  remove(paths: readonly string[]): Promise<void>
  /** Makes durable what is at `path`, whoever put it there. */
  flush(path: string, options?: CallOptions): Promise<void>
}

/** Each time another process was first with a further directory of one path, or its file. */
const TIMES_SECOND = 8
/** Keeps the address of a request well under the limits of proxies, and the 10,000 arguments of Kubo's. */
const PATHS_A_REQUEST = 64

export function createMfs(client: KuboClient): Mfs {
  const queue = createQueue()
  const change = async (
    command: string,
    query: Parameters<KuboClient['write']>[1],
    options?: ChangeOptions,
    files?: Parameters<KuboClient['write']>[2],
  ): Promise<void> => {
    const answer = await queue(() => {
      options?.mayGoOn?.()
      return client.write(command, query, files, options)
    }, options?.signal)
    // Kubo has nothing to say when these are done; it may have done it, whoever said this.
    if (command !== 'files/flush' && answer.length > 0)
      throw notAnAnswer(command, answer.toString(), { sent: true })
  }
  const orMissing = async (answer: Promise<Buffer>): Promise<Buffer | undefined> => {
    try {
      return await answer
    } catch (error) {
      if (means(error, 'pathMissing')) return undefined
      throw error
    }
  }

  /** Kubo looks whether a directory is there and makes it in two steps: who comes second is refused. */
  const making: typeof change = async (...call) => {
    for (let times = 1; ; times++) {
      try {
        return await change(...call)
      } catch (error) {
        if (times === TIMES_SECOND || !means(error, 'madeMeanwhile')) throw error
      }
    }
  }

  const link: Mfs['link'] = (cid, path, options) =>
    change('files/cp', { arg: [`/ipfs/${cid}`, path], offline: true }, options)
  const makeDirectory: Mfs['makeDirectory'] = (path, options) =>
    making('files/mkdir', { arg: path, parents: true, 'cid-version': 1 }, options)

  const flush: Mfs['flush'] = (path, options) => change('files/flush', { arg: path }, options)

  return {
    async list(path, options) {
      const answer = await orMissing(client.read('files/ls', { arg: path, U: true }, options))
      if (answer === undefined) return undefined
      return namesIn(answer)
    },
    read: (path, options) => orMissing(client.read('files/read', { arg: path }, options)),
    async cidAt(path, options) {
      const answer = await orMissing(client.read('files/stat', { arg: path }, options))
      if (answer === undefined) return undefined
      const { Hash } = mapOf('files/stat', answer)
      if (typeof Hash === 'string') return Hash
      throw notAnAnswer('files/stat', answer.toString())
    },
    makeDirectory,
    link,
    put: (path, bytes, options) =>
      putWhole(client, { link, makeDirectory, flush }, path, bytes, options),
    write: (path, bytes, options) =>
      making(
        'files/write',
        { arg: path, create: true, parents: true, truncate: true, 'cid-version': 1 },
        options,
        [{ name: 'file', chunks: [bytes] }],
      ),
    rewrite: (path, bytes, options) =>
      change('files/write', { arg: path, truncate: true, 'cid-version': 1 }, options, [
        { name: 'file', chunks: [bytes] },
      ]),
    async remove(paths) {
      for (let at = 0; at < paths.length; at += PATHS_A_REQUEST)
        await change('files/rm', { arg: paths.slice(at, at + PATHS_A_REQUEST), force: true })
    },
    flush,
  }
}

function namesIn(answer: Buffer): string[] {
  const { Entries } = mapOf('files/ls', answer)
  // Kubo says null of an empty directory, and always says something.
  if (Entries === null) return []
  if (!Array.isArray(Entries)) throw notAnAnswer('files/ls', answer.toString())
  return Entries.map((entry: unknown) => {
    const name = (entry as { Name?: unknown } | null)?.Name
    if (typeof name === 'string') return name
    throw notAnAnswer('files/ls', answer.toString())
  })
}

/**
 * Bringing back the list of commits of a node whose MFS was lost, from the commits' blocks. ADR 12.
 *
 * Nothing is guessed: what belongs together is told by `recover-lines.ts`, and where that leaves a choice
 * it is not made here. The newest commit goes first into MFS: whoever opens the dataset from then on
 * builds on the right one, and a recovery that dies is made again and puts the rest there.
 */
import { CairnError } from '../../errors.ts'
import { bytesEqual, printCid } from '../../model/cid.ts'
import { decodeCommit } from '../../model/commit.ts'
import type { Backend, CallOptions } from '../../store/backend.ts'
import { nodeAddress } from './address.ts'
import { getBlocks } from './blocks.ts'
import { createClient, type KuboClient } from './client.ts'
import { createMfs, type Mfs } from './mfs.ts'
import { commitPath, directoryOf, directoryPath } from './paths.ts'
import { findBundles } from './recover-bundles.ts'
import { commitLines, lineEndingAt, type CommitLine, type FoundCommit } from './recover-lines.ts'
import { findCommits, type SearchOptions } from './recover-search.ts'
import { means } from './refusals.ts'
import { createRpc } from './rpc.ts'

export interface RecoveryOptions {
  readonly url: string
  /** `bearer:TOKEN` or `basic:USER:PASSWORD`. */
  readonly token?: string | undefined
  /** For one read (30 s). */
  readonly deadlineMs?: number | undefined
}

export interface Recovery {
  /** Every commit that lies on the node, of all datasets, in no order. */
  search(options?: SearchOptions): Promise<FoundCommit[]>
  /**
   * `store`, for reading, with the line's dataset as it would be: so that it can be proved before
   * anything is put back. Its leases hold nothing.
   */
  preview(store: Backend, line: CommitLine): Backend
  /**
   * Puts the commits of a line into MFS, once what tells of bundles is there; what is there already stays.
   * Answers how many it put. `conflict` where another commit lies, before or while it does.
   */
  publish(line: CommitLine, options?: CallOptions): Promise<number>
  /** As in `recover-lines.ts`. */
  readonly lines: typeof commitLines
  readonly lineEndingAt: typeof lineEndingAt
  close(): void
}

const WRITE_MS = 600_000

export function openRecovery(options: RecoveryOptions): Recovery {
  const { url, authorization } = nodeAddress(options.url, options.token)
  const client = createClient(createRpc(url, authorization), {
    readMs: options.deadlineMs ?? 30_000,
    writeMs: WRITE_MS,
    retryMs: 5_000,
  })
  const mfs = createMfs(client)
  return {
    search: (search) => findCommits(client, search),
    preview: (store, line) => preview(client, store, line),
    publish: async (line, call) => {
      await findBundles(client, mfs, call)
      return publish(mfs, line, call)
    },
    lines: commitLines,
    lineEndingAt,
    close: () => client.close(),
  }
}

function preview(client: KuboClient, store: Backend, { newest, commits }: CommitLine): Backend {
  const byNumber = new Map(commits.map((one) => [one.number, one]))
  const read = async (number: number, options?: CallOptions): Promise<Uint8Array | undefined> => {
    const found = byNumber.get(number)
    if (found === undefined) return undefined
    const [bytes] = await getBlocks(client, [found.cid], options)
    if (bytes === undefined) throw gone(found)
    return bytes
  }
  const shown: Partial<Backend> = {
    newest: async (dataset, than, options) => {
      if (dataset !== newest.dataset || newest.number <= than) return undefined
      const bytes = await read(newest.number, options)
      if (bytes === undefined) throw gone(newest)
      return { number: newest.number, bytes }
    },
    getCommit: (_dataset, number, options) => read(number, options),
    lease: () => Promise.resolve({ release: () => Promise.resolve() }),
  }
  // A store is an object of a class, whose methods are its own and want it as `this`.
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = Reflect.get(name in shown ? shown : target, name)
      return typeof own === 'function' ? (own.bind(target) as unknown) : own
    },
  })
}

async function publish(mfs: Mfs, line: CommitLine, options?: CallOptions): Promise<number> {
  let put = 0
  let made: number | undefined
  for (const found of line.commits) {
    const directory = directoryOf(found.number)
    // Newest first, so each directory is met once.
    if (directory !== made)
      await mfs.makeDirectory(directoryPath(found.dataset, directory), options)
    made = directory
    if (await place(mfs, found, options)) put++
  }
  return put
}

/** Whether it was not there. */
async function place(mfs: Mfs, found: FoundCommit, options?: CallOptions): Promise<boolean> {
  const path = commitPath(found.dataset, found.number)
  const cid = printCid(found.cid)
  try {
    await mfs.link(cid, path, options)
    return true
  } catch (error) {
    if (means(error, 'blockMissing')) throw gone(found)
    if (!means(error, 'nameTaken')) throw error
  }
  const there = await mfs.read(path, options)
  if (there !== undefined && isCommit(there, found)) return false
  throw new CairnError('conflict', `${path} holds another commit than the one that was found.`, {
    hint: 'Somebody else made or brought back this dataset. Look at it before you remove it.',
    path,
    cid,
  })
}

function isCommit(bytes: Uint8Array, { cid }: FoundCommit): boolean {
  return bytesEqual(decodeCommit(bytes).cid, cid)
}

function gone({ dataset, number, cid }: FoundCommit): CairnError {
  return new CairnError(
    'block_missing',
    `The block of commit ${number} of ${dataset} was there and is gone.`,
    { hint: 'Does the node collect garbage? Stop that, and search again.', cid: printCid(cid) },
  )
}

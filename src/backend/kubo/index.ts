/** The backend on a Kubo node, over its RPC. DESIGN.md says what lies where and why. */
import { setMaxListeners } from 'node:events'
import { CairnError, isCairnError, throwIfAborted } from '../../errors.ts'
import type { Backend, CallOptions, Staging, Sweep } from '../../store/backend.ts'
import { nodeAddress } from './address.ts'
import { jsonOf } from './answers.ts'
import { getBlocks, hasBlocks } from './blocks.ts'
import { createClient, type KuboClient } from './client.ts'
import { createCommitter } from './commits.ts'
import { createCompat, type Compat, type CompatOptions } from './compat.ts'
import { collectGarbage } from './compact.ts'
import { createBundles } from './bundles.ts'
import { createCondemned } from './condemned.ts'
import { forgetCommits } from './forget.ts'
import { healBlocks } from './heal.ts'
import { createHistory } from './history.ts'
import { createImporter } from './import.ts'
import { createIntents } from './intents.ts'
import { createLeaseFolder, leaseNotes, type KuboLease, type LeaseFolder } from './leases.ts'
import { createMfs } from './mfs.ts'
import { createMirror } from './mirror.ts'
import { datasetPath, indexPointerPath, LEASES, STAGINGS, SWEEPS } from './paths.ts'
import { readDag } from './read-dag.ts'
import { createRpc } from './rpc.ts'
import { createStaging } from './staging.ts'
import { readStatus } from './status.ts'
import { beginSweep } from './sweep.ts'
import { createTidy } from './tidy.ts'

export interface KuboOptions {
  /** Of the node's RPC, such as `http://127.0.0.1:5001`; may hold `user:password@`. */
  readonly url: string
  /** As the `AuthSecret` in the node's config: `bearer:TOKEN` or `basic:USER:PASSWORD`. */
  readonly token?: string | undefined
  /** Where in MFS the newest commit of a dataset is mirrored; `{dataset}` stands for its name. */
  readonly indexPointerPath?: string | undefined
  /** Keeps a pointer of the old shape, too. Opening fails where another program's lies. */
  readonly compat?: CompatOptions | undefined
  /** For one read (30 s). */
  readonly deadlineMs?: number
  /** For one change (10 min): changes wait while the node collects garbage. */
  readonly commitDeadlineMs?: number
  /** How long a node that cannot be reached is tried again by reads and commits (5 s). */
  readonly retryMs?: number
  /** How long opening waits for a node that is starting (15 s). */
  readonly openMs?: number
  readonly now?: () => number
  /** Is told what went wrong in the background: with the mirror, or with removing an intent. */
  readonly onBackgroundError?: (error: unknown) => void
  readonly signal?: AbortSignal
}

export async function openKubo(options: KuboOptions): Promise<Backend> {
  const { url, authorization } = nodeAddress(options.url, options.token)
  const pointerPath = pointerPathFor(options.indexPointerPath)
  const client = createClient(createRpc(url, authorization), {
    readMs: options.deadlineMs ?? 30_000,
    writeMs: options.commitDeadlineMs ?? 600_000,
    retryMs: options.retryMs ?? 5_000,
  })
  try {
    const waiting = { retryMs: options.openMs ?? 15_000, signal: options.signal }
    const version = supportedVersion(await client.read('version', {}, waiting), client.address)
    const { backend, compat } = createBackend(client, version, pointerPath, options)
    try {
      await compat?.claim(own({ signal: options.signal }))
      return backend
    } catch (error) {
      await backend.close()
      throw error
    }
  } catch (error) {
    client.close()
    throw error
  }
}

function createBackend(
  client: KuboClient,
  version: string,
  pointerPath: (dataset: string) => string,
  { now = Date.now, onBackgroundError = () => {}, compat: compatOptions }: KuboOptions,
): { readonly backend: Backend; readonly compat: Compat | undefined } {
  const mfs = createMfs(client)
  const history = createHistory(mfs)
  const folder = (path: string): LeaseFolder => createLeaseFolder(mfs, path, now, onBackgroundError)
  const [leases, stagings, sweeps] = [folder(LEASES), folder(STAGINGS), folder(SWEEPS)]
  const intents = createIntents(mfs, stagings, now, onBackgroundError)
  const condemned = createCondemned(mfs, sweeps, client.deadlines.writeMs)
  const bundles = createBundles(mfs)
  const tidy = createTidy({ client, mfs, intents, bundles, sweeps, onError: onBackgroundError })
  const importer = createImporter(client, intents, condemned, tidy, now)
  const compat =
    compatOptions &&
    createCompat({ mfs, history, importer, onError: onBackgroundError }, compatOptions)
  // Where both were told of one path it is the compatible pointer's.
  const mirrorPath = (dataset: string): string =>
    pointerPath(dataset) === compat?.path ? indexPointerPath(dataset) : pointerPath(dataset)
  const mirror = createMirror(
    history,
    (dataset, commit) => mfs.write(mirrorPath(dataset), commit),
    onBackgroundError,
  )
  const leaseOf = new WeakMap<Staging, KuboLease>()
  const named = new WeakSet<Staging>()
  const ended = new WeakSet<Staging>()
  const committer = createCommitter({
    mfs,
    history,
    importer,
    tidy,
    now,
    retryMs: client.deadlines.retryMs,
    isSound: (staging) => !ended.has(staging) && (leaseOf.get(staging)?.sound() ?? true),
  })
  const changes = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined

  const read = async <T>(work: () => Promise<T>, options?: CallOptions): Promise<T> => {
    if (closing !== undefined) throw closedError()
    throwIfAborted(options?.signal)
    try {
      return await work()
    } catch (error) {
      throw closing !== undefined && isCairnError(error, 'backend_unavailable')
        ? closedError()
        : error
    }
  }
  /** What `close` waits for: to cut it short would leave a commit unknown. */
  const change = <T>(work: () => Promise<T>, options?: CallOptions): Promise<T> => {
    const running = read(work, options)
    changes.add(running)
    const done = (): void => void changes.delete(running)
    running.then(done, done)
    return running
  }
  /** Closing has done it. */
  const unlessClosed = (work: () => Promise<void>): Promise<void> =>
    closing === undefined ? change(work) : Promise.resolve()
  async function* readDagOpen(...args: Parameters<NonNullable<Backend['readDag']>>) {
    const [root, options] = args
    const batches = readDag(client, root, own(options))
    try {
      for (;;) {
        const batch = await read(() => batches.next())
        if (batch.done === true) return
        yield batch.value
      }
    } finally {
      await batches.return(undefined)
    }
  }
  const close = async (): Promise<void> => {
    await Promise.allSettled(changes)
    stagings.stop()
    for (const own of [leases, sweeps]) await own.releaseAll().catch(onBackgroundError)
    await Promise.all([mirror.settled(), compat?.settled()])
    await tidy.settled()
    client.close()
  }

  const backend: Backend = {
    kind: 'kubo',
    location: `kubo:${client.address}`,
    provesBlocks: true,
    getBlocks: (cids, options) => read(() => getBlocks(client, cids, own(options))),
    hasBlocks: (cids, options) => read(() => hasBlocks(client, cids, own(options))),
    heal: (blocks, options) => change(() => healBlocks(client, blocks, own(options))),
    stage: (dataset, label, options) =>
      read(async () => {
        throwIfAborted(options?.signal)
        datasetPath(dataset)
        const lease = stagings.takeLate(`${dataset}: ${label}`)
        const tools = { client, importer, tidy, lease, isNamed: () => named.has(guarded) }
        const staging = createStaging(tools, dataset, label)
        const guarded: Staging = {
          put: (blocks, call) => change(() => staging.put(blocks, own(call))),
          flush: (call) => change(() => staging.flush(own(call))),
          end: (outcome) => {
            ended.add(guarded)
            return staging.end(outcome)
          },
        }
        leaseOf.set(guarded, lease)
        return guarded
      }),
    readDag: (root, options) => readDagOpen(root, options),
    newest: (dataset, than, options) => read(() => history.newest(dataset, than, options)),
    getCommit: (dataset, number, options) => read(() => history.commit(dataset, number, options)),
    oldest: (dataset, options) => read(() => history.oldest(dataset, options)),
    datasets: (options) => read(() => history.datasets(options)),
    commit: (request, options) =>
      change(async () => {
        if (request.staging !== undefined) named.add(request.staging)
        const outcome = await committer.commit(request, own(options))
        if (outcome === 'committed') for (const one of [mirror, compat]) one?.poke(request.dataset)
        return outcome
      }),
    forget: (dataset, below, options) =>
      change(() => forgetCommits(mfs, history, dataset, below, own(options)), options),
    lease: (note, options) =>
      change(async () => {
        const lease = await leases.take(note, own(options))
        return { release: () => unlessClosed(() => lease.release()) }
      }, options),
    leases: (options) => read(() => leaseNotes(leases, onBackgroundError, own(options))),
    // A commit here relies on nothing but what it names in its intent and what a kept commit holds:
    // the node walks all that the commit's blocks link to when it pins them, and fails where it cannot.
    sweeps: (options) => read(() => Promise.resolve(0), options),
    sweep: (options) =>
      change(async () => {
        // Intents of what was committed here just now would keep what it replaced.
        await tidy.settled()
        const tools = { client, mfs, sweeps, leases, intents, condemned, bundles, now }
        const sweep = await beginSweep(tools, { ...options, ...own(options) })
        const guarded: Sweep = {
          frees: sweep.frees,
          mark: (held) => sweep.mark(held),
          offer: (held) => sweep.offer(held),
          free: (call) => change(() => sweep.free({ ...call, ...own(call) })),
          end: () => unlessClosed(() => sweep.end()),
        }
        return guarded
      }, options),
    compact: (options) => change(() => collectGarbage(client, own(options)), options),
    status: (options) => read(() => readStatus(client, version, options)),
    close: () => (closing ??= close()),
  }
  return { backend, compat }
}

function supportedVersion(json: Buffer, address: string): string {
  const answer = jsonOf('version', json)
  const version =
    typeof answer === 'object' && answer !== null && 'Version' in answer
      ? String(answer.Version)
      : ''
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)\./.exec(version) ?? []
  if (Number(major) > 0 || Number(minor) >= 43) return version
  throw new CairnError(
    'backend_refused',
    `The node at ${address} runs Kubo ${version || 'of no known version'}; Cairn needs 0.43 or later.`,
    {
      hint: 'Before 0.43 its garbage collection and changes of MFS could lock each other up for good, over restarts. Upgrade the node.',
    },
  )
}

function pointerPathFor(template: string | undefined): (dataset: string) => string {
  if (template === undefined) return indexPointerPath
  if (!/^\/[^/]/.test(template) || template.endsWith('/')) {
    throw new CairnError('config', `"${template}" is not a path of a file in MFS.`, {
      hint: 'Something like /archive/{dataset}/index-pointer.',
    })
  }
  return (dataset) => template.replaceAll('{dataset}', dataset)
}

/** A call makes many requests at once, each listening to the signal: more than Node takes for sound. */
function own(options: CallOptions | undefined): CallOptions | undefined {
  if (options?.signal === undefined) return options
  const signal = AbortSignal.any([options.signal])
  setMaxListeners(0, signal)
  return { ...options, signal }
}

const closedError = (): CairnError => new CairnError('closed', 'The backend is closed.')

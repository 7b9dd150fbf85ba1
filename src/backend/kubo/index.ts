/** The backend on a Kubo node, over its RPC. DESIGN.md says what lies where and why. */
import { setMaxListeners } from 'node:events'
import { CairnError, isCairnError, throwIfAborted } from '../../errors.ts'
import type { Backend, CallOptions } from '../../store/backend.ts'
import { nodeAddress } from './address.ts'
import { getBlocks, hasBlocks } from './blocks.ts'
import { createClient, type KuboClient } from './client.ts'
import { createCommitter } from './commits.ts'
import { createHistory } from './history.ts'
import { createImporter } from './import.ts'
import { createIntentWriter } from './intents.ts'
import { createMfs } from './mfs.ts'
import { createMirror } from './mirror.ts'
import { datasetPath, indexPointerPath } from './paths.ts'
import { createRpc } from './rpc.ts'
import { createStaging } from './staging.ts'
import { readStatus } from './status.ts'
import { createTidy } from './tidy.ts'

export interface KuboOptions {
  /** Of the node's RPC, such as `http://127.0.0.1:5001`; may hold `user:password@`. */
  readonly url: string
  /** As the `AuthSecret` in the node's config: `bearer:TOKEN` or `basic:USER:PASSWORD`. */
  readonly token?: string | undefined
  /** Where in MFS the newest commit of a dataset is mirrored; `{dataset}` stands for its name. */
  readonly indexPointerPath?: string | undefined
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
    return createBackend(client, version, pointerPath, options)
  } catch (error) {
    client.close()
    throw error
  }
}

function createBackend(
  client: KuboClient,
  version: string,
  pointerPath: (dataset: string) => string,
  { now = Date.now, onBackgroundError = () => {} }: KuboOptions,
): Backend {
  const mfs = createMfs(client)
  const history = createHistory(mfs)
  const tidy = createTidy(client, mfs, onBackgroundError)
  const importer = createImporter(client, createIntentWriter(mfs, now), tidy)
  const mirror = createMirror(mfs, history, pointerPath, onBackgroundError)
  const committer = createCommitter(mfs, history, importer, tidy, client.deadlines.retryMs)
  const changes = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined

  const read = async <T>(work: () => Promise<T>): Promise<T> => {
    if (closing !== undefined) throw closedError()
    try {
      return await work()
    } catch (error) {
      throw closing !== undefined && isCairnError(error, 'backend_unavailable')
        ? closedError()
        : error
    }
  }
  /** What `close` waits for: to cut it short would leave a commit unknown. */
  const change = <T>(work: () => Promise<T>): Promise<T> => {
    const running = read(work)
    changes.add(running)
    const done = (): void => void changes.delete(running)
    running.then(done, done)
    return running
  }
  const close = async (): Promise<void> => {
    await Promise.allSettled(changes)
    await Promise.all([mirror.settled(), tidy.settled()])
    client.close()
  }

  return {
    kind: 'kubo',
    location: `kubo:${client.address}`,
    getBlocks: (cids, options) => read(() => getBlocks(client, cids, own(options))),
    hasBlocks: (cids, options) => read(() => hasBlocks(client, cids, own(options))),
    stage: (dataset, label, options) =>
      read(async () => {
        throwIfAborted(options?.signal)
        datasetPath(dataset)
        const staging = createStaging(importer, tidy, dataset, label)
        return {
          put: (blocks, call) => change(() => staging.put(blocks, own(call))),
          flush: (call) => change(() => staging.flush(own(call))),
          end: (outcome) => staging.end(outcome),
        }
      }),
    newest: (dataset, than, options) => read(() => history.newest(dataset, than, options)),
    getCommit: (dataset, number, options) => read(() => history.commit(dataset, number, options)),
    oldest: (dataset, options) => read(() => history.oldest(dataset, options)),
    datasets: (options) => read(() => history.datasets(options)),
    commit: (request, options) =>
      change(async () => {
        const outcome = await committer.commit(request, own(options))
        if (outcome === 'committed') mirror.poke(request.dataset)
        return outcome
      }),
    status: (options) => read(() => readStatus(client, version, options)),
    close: () => (closing ??= close()),
  }
}

function supportedVersion(json: Buffer, address: string): string {
  const answer: unknown = JSON.parse(json.toString())
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

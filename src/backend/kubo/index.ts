/** The backend on a Kubo node, over its RPC. DESIGN.md says what lies where and why. */
import { posix } from 'node:path'
import { CairnError } from '../../errors.ts'
import type { Backend } from '../../store/backend.ts'
import { nodeAddress } from './address.ts'
import { jsonOf } from './answers.ts'
import { KuboBackend } from './backend.ts'
import { createClient } from './client.ts'
import type { CompatOptions } from './compat.ts'
import { createParts } from './parts.ts'
import { holdsCommits, indexPointerPath } from './paths.ts'
import { createRpc } from './rpc.ts'

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
    const { compat, now = Date.now, onBackgroundError: onError = () => {} } = options
    const parts = createParts(client, pointerPath, { compat, now, onError })
    const backend = new KuboBackend(parts, version)
    try {
      await backend.claim(options.signal)
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
  const isFile = /^\/[^/]/.test(template) && !template.endsWith('/')
  if (!isFile || holdsCommits(posix.dirname(template))) {
    throw new CairnError('config', `"${template}" cannot be the path of a mirror in MFS.`, {
      hint: 'It is that of a file in a folder of its own, something like /archive/{dataset}/index-pointer.',
    })
  }
  return (dataset) => template.replaceAll('{dataset}', dataset)
}

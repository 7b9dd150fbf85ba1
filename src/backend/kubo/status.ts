import { isCairnError } from '../../errors.ts'
import type { CallOptions, StoreStatus } from '../../store/backend.ts'
import { at, jsonOf, knownNumber } from './answers.ts'
import type { KuboClient } from './client.ts'
import { looksLost } from './lost.ts'
import { collectionIn, runningCommands, type Collection } from './running.ts'

/** Each part is left out where the node's RPC forbids its command. */
export async function readStatus(
  client: KuboClient,
  version: string,
  options?: CallOptions,
): Promise<StoreStatus> {
  const ask = (command: string, query = {}): Promise<unknown> =>
    orElse(
      client.read(command, query, options).then((answer) => jsonOf(command, answer)),
      {},
    )
  const [repo, system, config, running, lost] = await Promise.all([
    ask('repo/stat', { 'size-only': true }),
    ask('diag/sys'),
    ask('config/show'),
    orElse(runningCommands(client, options), undefined),
    orElse(looksLost(client, options), false),
  ])
  const synced = syncOf(at(config, 'Datastore', 'Spec'))
  const size = knownNumber(at(repo, 'RepoSize'))
  const max = knownNumber(at(repo, 'StorageMax'))
  const collection = collectionIn(running ?? [])
  return {
    synced,
    sizeBytes: size,
    freeBytes: knownNumber(at(system, 'diskinfo', 'free_space')),
    notes: [
      ...(lost ? [LOST] : []),
      ...(collection ? [noteOf(collection)] : []),
      ...notesFor(synced, size, max),
    ],
    details: {
      version,
      address: client.address,
      collecting: collection !== undefined,
      ...(max === undefined ? {} : { storageMaxBytes: max }),
      ...textDetail('gcPeriod', at(config, 'Datastore', 'GCPeriod')),
      ...textDetail('os', at(system, 'runtime', 'os')),
    },
  }
}

async function orElse<T>(answer: Promise<T>, refused: T): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (isCairnError(error, 'access_denied') || isCairnError(error, 'backend_refused'))
      return refused
    throw error
  }
}

const LOST =
  'Blocks of Cairn are pinned on the node, but its MFS has no dataset: it was lost, emptied or replaced. ' +
  'Make no dataset and run no garbage collection; `cairn recover` finds the newest commits.'

function noteOf({ behindImportMs }: Collection): string {
  const collects = 'The node collects garbage; commits wait until it has ended.'
  if (behindImportMs === undefined) return collects
  const seconds = Math.round(behindImportMs / 1_000)
  return (
    `${collects} It waits for an import that began ${seconds} s ago: was the process that sends it ` +
    'stopped, let it go on or end it.'
  )
}

function notesFor(
  synced: boolean | undefined,
  size: number | undefined,
  max: number | undefined,
): string[] {
  const notes: string[] = []
  if (synced === false) {
    notes.push(
      'The node does not sync blocks to disk: what was acknowledged survives its death, but perhaps ' +
        'not a power cut. Set "sync": true for flatfs in Datastore.Spec and restart it.',
    )
  }
  if (synced === undefined) {
    notes.push(
      'Whether the node syncs blocks to disk is not known (config/show is forbidden or new).',
    )
  }
  if (size !== undefined && max !== undefined && size > max * 0.9) {
    notes.push(
      `The repository takes ${size} of the ${max} bytes of Datastore.StorageMax: a node that runs ` +
        'with --enable-gc collects garbage again and again.',
    )
  }
  return notes
}

/** Whether the datastore under `/blocks` syncs: flatfs by its `sync`, the others always do. */
function syncOf(spec: unknown): boolean | undefined {
  const mounts = at(spec, 'mounts')
  if (Array.isArray(mounts)) {
    return syncOf(mounts.find((mount) => at(mount, 'mountpoint') === '/blocks') ?? mounts[0])
  }
  const child = at(spec, 'child')
  if (child !== undefined) return syncOf(child)
  const type = at(spec, 'type')
  if (type === 'flatfs') return at(spec, 'sync') === true
  return type === 'pebbleds' || type === 'levelds' ? true : undefined
}

const textDetail = (name: string, value: unknown): Record<string, string> =>
  typeof value === 'string' ? { [name]: value } : {}

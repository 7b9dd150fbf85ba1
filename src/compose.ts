/** The composition root: the only file that knows which backends there are. */
import { CairnError } from './errors.ts'
import { Cairn, type CairnOptions } from './cairn.ts'
import type { CarFile } from './car/file.ts'
import type { CompatOptions } from './backend/kubo/compat.ts'
import type { OldNode, OldNodeOptions } from './backend/kubo/old-files.ts'
import type { Recovery } from './backend/kubo/recover.ts'
import type { ReplicaPolicy } from './engine/replica/replica-set.ts'
import { addressOf, isService } from './remote/address.ts'
import { tokenOfEnvironment } from './remote/token.ts'
import { serviceTarget } from './remote/service-target.ts'
import type { Backend } from './store/backend.ts'

export type { CommitLine, FoundCommit } from './backend/kubo/recover-lines.ts'
export type { Recovery }

export interface StoreOptions {
  /** Make an embedded store that does not exist; otherwise it is `store_not_found`. */
  readonly create?: boolean | undefined
  /** Kubo: the RPC secret, `bearer:TOKEN` or `basic:USER:PASSWORD`. */
  readonly kuboToken?: string | undefined
  /** Kubo: the MFS path of the mirrored index pointer; `{dataset}` stands for the dataset's name. */
  readonly indexPointerPath?: string | undefined
  /**
   * Kubo: keeps one dataset's index pointer in the shape of the system that Cairn replaces, too, for
   * tools that read it. Opening fails with `conflict` where another program's pointer lies.
   */
  readonly compat?: CompatOptions | undefined
  /** Kubo: how long one read may take. */
  readonly deadlineMs?: number | undefined
  readonly onBackgroundError?: ((error: unknown) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Opens the store that `store` names: `lmdb:DIR`, `kubo:URL`, `s3://BUCKET/PREFIX`, `memory:`, or to read
 * from CARs `car:FILE` (`car:BASE,DELTA...`). Loads only its backend.
 */
export async function openBackend(store: string, options: StoreOptions = {}): Promise<Backend> {
  const colon = store.indexOf(':')
  const kind = colon < 0 ? store : store.slice(0, colon)
  const place = colon < 0 ? '' : store.slice(colon + 1)
  if (options.compat !== undefined && kind !== 'kubo') throw noCompat(store)
  const { onBackgroundError, signal } = options
  const heard = onBackgroundError === undefined ? {} : { onBackgroundError }
  if (kind === 'memory' && place === '') return (await import('./backend/memory.ts')).openMemory()
  if (kind === 'lmdb' && place !== '') {
    const { openLmdb } = await import('./backend/lmdb/index.ts')
    return openLmdb({ dir: place, create: options.create ?? true, ...heard })
  }
  if (kind === 'kubo' && place !== '') {
    const { kuboToken, indexPointerPath, compat, deadlineMs } = options
    const { openKubo } = await import('./backend/kubo/index.ts')
    return openKubo({
      url: place,
      token: kuboToken,
      indexPointerPath,
      compat,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...heard,
      ...(signal === undefined ? {} : { signal }),
    })
  }
  if (kind === 's3' && place !== '') {
    const { create = true } = options
    const { openBucketStore } = await import('./backend/s3/index.ts')
    return openBucketStore({
      address: place,
      create,
      signal,
      ...heard,
    })
  }
  if (kind === 'car' && place !== '') return openCarStore(place.split(','), options.signal)
  throw new CairnError(
    'usage',
    'A store is named lmdb:DIR, kubo:URL, s3://BUCKET/PREFIX, car:FILE or memory:.',
    {
      hint: 'For example lmdb:./data, kubo:http://127.0.0.1:5001 or s3://backups/cairn.',
    },
  )
}

function noCompat(store: string): CairnError {
  return new CairnError('usage', `The store ${store} can keep no pointer of the old shape.`, {
    hint: 'That is for a node (kubo:URL). Leave --compat and CAIRN_COMPAT out.',
  })
}

async function openCarStore(
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Backend> {
  const { CarFile: Car } = await import('./car/file.ts')
  const { openCarBackend } = await import('./backend/car.ts')
  const cars: CarFile[] = []
  const close = async (): Promise<void> => {
    for (const car of cars) await car.close()
  }
  try {
    for (const path of paths) cars.push(await Car.open(path, { signal }))
    return openCarBackend(cars, close)
  } catch (error) {
    await close()
    throw error
  }
}

/** Reads from CARs that are open. Closing it leaves them open. */
export async function cairnOfCars(
  cars: readonly CarFile[],
  options: CairnOptions = {},
): Promise<Cairn> {
  const { openCarBackend } = await import('./backend/car.ts')
  return new Cairn(openCarBackend(cars), options)
}

/** Opens a store and everything in it. Close it when done. */
export async function openCairn(
  store: string,
  options: StoreOptions & CairnOptions = {},
): Promise<Cairn> {
  return new Cairn(await openBackend(store, options), options)
}

/** A node with data of the system that Cairn replaces; of any age, and only to read from. */
export async function openOldNode(options: OldNodeOptions): Promise<OldNode> {
  return (await import('./backend/kubo/old-files.ts')).openOldFiles(options)
}

/** A node whose MFS was lost, to find the commits of its datasets among its blocks. */
export async function openRecovery(
  store: string,
  { kuboToken, deadlineMs }: Pick<StoreOptions, 'kuboToken' | 'deadlineMs'> = {},
): Promise<Recovery> {
  if (!store.startsWith('kubo:')) {
    throw new CairnError('usage', `Commits are looked for on a node, not in ${store}.`, {
      hint: 'Name it with --store kubo:URL. Other stores are repaired, or restored from a CAR.',
    })
  }
  const url = store.slice('kubo:'.length)
  return (await import('./backend/kubo/recover.ts')).openRecovery({
    url,
    token: kuboToken,
    deadlineMs,
  })
}

/** The copies that a primary looks after, as the settings name them; opened when they are asked for. */
export function replicaPolicy(
  {
    replicas,
    replica_ack: ack,
    replica_deadline: ackMs,
  }: {
    readonly replicas: readonly string[]
    readonly replica_ack: number
    readonly replica_deadline: number
  },
  options: StoreOptions,
): ReplicaPolicy | undefined {
  if (replicas.length === 0 && ack === 0) return undefined
  const stores = replicas.map((name) =>
    isService(name)
      ? serviceTarget({ url: addressOf(name), token: tokenOfEnvironment() })
      : {
          location: name.replace(/\/\/[^/@]*@/, '//'),
          // One that is missing is not made on the way: its disk may not be there. `cairn sync` makes replicas.
          open: () => openBackend(name, { ...options, create: false, signal: undefined }),
        },
  )
  return { stores, ack, ackMs }
}

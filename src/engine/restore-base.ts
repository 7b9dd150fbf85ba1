/** The base of a delta that is restored: a snapshot that the store keeps, leased while it is relied on. */
import type { CarState, OpenCar } from '../car/state.ts'
import { CairnError } from '../errors.ts'
import { bytesEqual, printCid, type CidBytes } from '../model/cid.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import type { CallOptions, Lease } from '../store/backend.ts'
import type { Context } from './context.ts'
import { releaseLease, takeLease } from './lease.ts'
import { Pointer } from './pointer.ts'
import { keptSnapshots } from './snapshots.ts'
import { readHeader } from './state.ts'

export interface LeasedBase {
  readonly header: SnapshotHeader
  readonly lease: Lease
}

/** Undefined where the state is no delta, or the CARs hold its base, too. The caller releases the lease. */
export async function leaseBase(
  context: Context,
  cars: readonly OpenCar[],
  { checkpoint }: CarState,
  options: CallOptions,
): Promise<LeasedBase | undefined> {
  const since = checkpoint?.since ?? null
  if (since === null || cars.some((car) => car.has(since))) return undefined
  const note = { commit: null, snapshots: [since], purpose: 'restore of a delta' }
  const lease = await takeLease(context, { ...note, dataset: '' }, options)
  try {
    for (const dataset of await context.backend.datasets(options)) {
      const header = await keptHeader(context, dataset, since, options)
      if (header !== undefined) return { header, lease }
    }
  } catch (error) {
    await releaseLease(context, lease)
    throw error
  }
  await releaseLease(context, lease)
  throw new CairnError(
    'base_missing',
    `The store does not keep ${printCid(since)}, the base of this delta.`,
    {
      hint: 'Restore the base first, or name its CAR beside the delta.',
      cid: printCid(since),
    },
  )
}

/** Its list is read anew where a prune has put another in its place. */
async function keptHeader(
  context: Context,
  dataset: string,
  since: CidBytes,
  { signal }: CallOptions,
): Promise<SnapshotHeader | undefined> {
  const pointer = await Pointer.open(context, dataset, signal)
  return pointer?.reading(async ({ commit }) => {
    for await (const { cid } of keptSnapshots(context, commit, signal)) {
      if (bytesEqual(cid, since)) return readHeader(context, { ...commit, snapshot: cid }, signal)
    }
    return undefined
  }, signal)
}

/** What a backend on a node is made of, put together. */
import { createBundles } from './bundles.ts'
import { Calls } from './calls.ts'
import type { KuboClient } from './client.ts'
import { Committer } from './commits.ts'
import { createCompat, type Compat, type CompatOptions } from './compat.ts'
import { createCondemned } from './condemned.ts'
import { createHistory, type History } from './history.ts'
import { createImporter } from './import.ts'
import { createIntents } from './intents.ts'
import { LeaseFolder } from './leases.ts'
import { createMfs, type Mfs } from './mfs.ts'
import { createMirror, type Mirror, type WriteCopy } from './mirror.ts'
import { indexPointerPath, LEASES, STAGINGS, SWEEPS } from './paths.ts'
import type { StagingTools } from './staging.ts'
import type { SweepTools } from './sweep.ts'
import { createTidy } from './tidy.ts'

export interface Parts extends SweepTools, Omit<StagingTools, 'lease'> {
  readonly history: History
  readonly stagings: LeaseFolder
  readonly committer: Committer
  readonly mirror: Mirror
  readonly compat: Compat | undefined
  /** Is told what went wrong in the background. */
  readonly onError: (error: unknown) => void
}

export interface PartsOptions {
  readonly compat: CompatOptions | undefined
  readonly now: () => number
  readonly onError: (error: unknown) => void
}

/** `pointerPath` says where the newest commit of a dataset is mirrored. */
export function createParts(
  client: KuboClient,
  pointerPath: (dataset: string) => string,
  { compat: wanted, now, onError }: PartsOptions,
): Parts {
  const { writeMs, retryMs } = client.deadlines
  const calls = new Calls()
  const mfs = createMfs(client)
  const history = createHistory(mfs)
  const stagings = new LeaseFolder(mfs, STAGINGS, now, onError)
  const leases = new LeaseFolder(mfs, LEASES, now, onError)
  const sweeps = new LeaseFolder(mfs, SWEEPS, now, onError)
  const intents = createIntents(mfs, stagings, now, onError)
  const condemned = createCondemned(mfs, sweeps, writeMs)
  const bundles = createBundles(mfs)
  const tidy = createTidy({ client, mfs, intents, bundles, sweeps, onError })
  const importer = createImporter(client, intents, condemned, tidy, now)
  const committer = new Committer({ mfs, history, importer, tidy, retryMs, now })
  const compat = wanted && createCompat({ mfs, history, importer, onError }, wanted)
  const mirror = createMirror(history, copyTo(mfs, pointerPath, compat?.path), onError)
  return {
    client,
    calls,
    mfs,
    history,
    stagings,
    leases,
    sweeps,
    intents,
    condemned,
    bundles,
    tidy,
    importer,
    committer,
    compat,
    mirror,
    onError,
    now,
  }
}

/** Where the mirror was told of the path that is the compatible pointer's, it goes where it goes untold. */
function copyTo(
  mfs: Mfs,
  pointerPath: (dataset: string) => string,
  taken: string | undefined,
): WriteCopy {
  return (dataset, commit) => {
    const path = pointerPath(dataset)
    return mfs.write(path === taken ? indexPointerPath(dataset) : path, commit)
  }
}

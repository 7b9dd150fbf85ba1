/**
 * A bundle keeps many blocks with one pin, for as long as a sweep needs all of them. Every pin costs the
 * node some milliseconds (it syncs), so what a build or a restore writes in quantity is bundled.
 *
 * A bundle is a holder (`holder.ts`) that links to what is held deep by its own CID. Its record is an
 * empty file in MFS whose name is the CID: written after the commit and before the intent goes that names
 * it, removed after its pin was dropped. So there is always an intent or a record by which a sweep finds it.
 */
import { parseCid, printCid, type CidBytes } from '../../model/cid.ts'
import { isCairnError } from '../../errors.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { Mfs } from './mfs.ts'
import { BUNDLES } from './paths.ts'

export interface Bundles {
  /** Durable when it returns; no error when it is there. */
  record(bundle: CidBytes, options?: CallOptions): Promise<void>
  list(options?: CallOptions): Promise<CidBytes[]>
  forget(bundles: readonly CidBytes[]): Promise<void>
}

const NOTHING = new Uint8Array(0)

const recordOf = (bundle: CidBytes): string => `${BUNDLES}/${printCid(bundle)}`

export function createBundles(mfs: Mfs): Bundles {
  return {
    record: (bundle, options) => mfs.put(recordOf(bundle), NOTHING, options),
    async list(options) {
      return ((await mfs.list(BUNDLES, options)) ?? []).flatMap(bundleOfName)
    },
    forget: (bundles) => mfs.remove(bundles.map(recordOf)),
  }
}

/** Other names are other people's. */
function bundleOfName(name: string): CidBytes[] {
  try {
    return [parseCid(name)]
  } catch (error) {
    if (isCairnError(error)) return []
    throw error
  }
}

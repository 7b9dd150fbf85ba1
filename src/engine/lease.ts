/**
 * Leases: what a long reader is reading, said to whoever prunes meanwhile. A note names commits and
 * snapshots; all that they need stays.
 */
import { CairnError } from '../errors.ts'
import { parseCid, printCid, type CidBytes } from '../model/cid.ts'
import { Fields, type IpldMap } from '../model/ipld.ts'
import type { CallOptions, Lease } from '../store/backend.ts'
import type { Context } from './context.ts'

export interface Leased {
  readonly dataset: string
  /** A commit, with its snapshot and its chain. */
  readonly commit: number | null
  readonly snapshots: readonly CidBytes[]
  /** What for, to people. */
  readonly purpose: string
}

export function takeLease(
  { backend }: Pick<Context, 'backend'>,
  { dataset, commit, snapshots, purpose }: Leased,
  options: CallOptions,
): Promise<Lease> {
  const note = { dataset, commit, snapshots: snapshots.map(printCid), purpose }
  return backend.lease(JSON.stringify(note), options)
}

/** What was done stays done, and what failed says why: a lease that is left is void by itself. */
export async function releaseLease({ log }: Pick<Context, 'log'>, lease: Lease): Promise<void> {
  await lease.release().catch((error: unknown) => {
    log.error('lease.release_failed', { error: String(error) })
  })
}

export async function readLeases({ backend }: Context, options: CallOptions): Promise<Leased[]> {
  return (await backend.leases(options)).map(parseNote)
}

/** A note that cannot be read stops a prune: what it keeps is not known. */
function parseNote(note: string): Leased {
  try {
    const fields = new Fields(JSON.parse(note) as IpldMap, 'a lease')
    return {
      dataset: fields.text('dataset'),
      commit: fields.uintOrNull('commit'),
      snapshots: fields.texts('snapshots').map(parseCid),
      purpose: fields.text('purpose'),
    }
  } catch (cause) {
    throw new CairnError('busy', 'Something that cannot be told holds a lease on the store.', {
      hint: 'Another version of Cairn is at work on it. Try again when it has ended; a lease is void an hour after its process died.',
      cause,
    })
  }
}

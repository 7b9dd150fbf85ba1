/** Backups made up for tests of what is decided about them. */
import type { Backup } from '../../src/backup/folder.ts'
import { pathsBeside, printTimestamp } from '../../src/backup/name.ts'
import type { Sidecar } from '../../src/backup/sidecar.ts'
import { toCairnError } from '../../src/errors.ts'

export const cidOf = (text: string): string =>
  `bafyrei${text.replaceAll(/[^a-z2-7]/g, 'a').padEnd(52, 'a')}`

export function backup(name: string, fields: Partial<Sidecar> & { at?: number } = {}): Backup {
  const { at = 0, ...given } = fields
  const filename = `${name}.car`
  const sidecar: Sidecar = {
    schema: 'cairn/car-sidecar@v1',
    dataset: 'main',
    identity: 'one',
    generation: 0,
    checkpoint_cid: cidOf(`c${name}`),
    snapshot_cid: cidOf(name),
    seq: 1,
    reason: 'a test',
    timestamp: printTimestamp(at),
    ts: new Date(at).toISOString(),
    next: 1,
    total_count: 1,
    recent_count: 0,
    tips: 'linked',
    content: 'full',
    since: null,
    filename,
    path: filename,
    size_bytes: 1,
    sha256: '0'.repeat(64),
    car_sha256: '0'.repeat(64),
    car_version: 1,
    blocks: 1,
    cid_counts: {
      snapshot: 1,
      branches: 0,
      leaves: 1,
      checkpoint: 1,
      chain_lists: 0,
      events: 0,
      dag_nodes: 0,
      total: 3,
    },
    encrypted: false,
    encrypted_to: [],
    verified_at: new Date(at).toISOString(),
    ...given,
  }
  return { sidecar, paths: pathsBeside(`/backups/${filename}`) }
}

/** The code that a promise is rejected with; undefined when it is not. */
export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => toCairnError(error).code,
  )
}

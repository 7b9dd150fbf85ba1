/** Looking at all of a store after the deaths of a round. */
import { createHash } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { Cairn } from '../../src/cairn.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { askNode } from '../helpers/kubo-node.ts'
import { readWhole, type Whole } from '../kills/look.ts'
import type { Ground } from './ground.ts'
import type { Held, World } from './model.ts'

export interface Seen {
  readonly world: World
  /** Of each kept snapshot, by its number, a hash of its entities. */
  readonly snapshots: ReadonlyMap<number, string>
  readonly problems: readonly string[]
}

/** Reads every kept snapshot, commit and content, and asks the project's own verification. */
export async function look(ground: Ground, aheadMs: number): Promise<Seen> {
  // What nothing holds is gone then.
  if (ground.node !== undefined) await askNode(ground.node.url, 'repo/gc')
  const backend = await ground.open(aheadMs)
  try {
    const world = new Map<string, Held>()
    const dataset = await new Cairn(backend).dataset('main')
    for await (const { pi, ver, tip } of dataset.entries({ deleted: true }))
      world.set(pi, { ver, gone: tip === null })
    const snapshots = hashes(await readWhole(backend, 'main'))
    const ledgerDir = await mkdtemp(join(ground.folder, 'ledger-'))
    const report = await verifyDataset(backend, 'main', { mode: { kind: 'full' }, ledgerDir })
    const { verdict, problems } = report
    const faults = verdict === 'sound' ? [] : [`verify: ${verdict}, ${JSON.stringify(problems[0])}`]
    return { world, snapshots, problems: faults }
  } finally {
    await backend.close()
  }
}

function hashes({ snapshots }: Whole): Map<number, string> {
  return new Map(
    snapshots.map(({ seq, entities }) => {
      const hash = createHash('sha256')
      for (const [pi, line] of entities) hash.update(`${pi} ${line}\n`)
      return [seq, hash.digest('hex')]
    }),
  )
}

/** A snapshot that is kept stays as it was. */
export function compareSnapshots(before: Seen['snapshots'], after: Seen['snapshots']): string[] {
  return [...after].flatMap(([seq, hash]) =>
    (before.get(seq) ?? hash) === hash ? [] : [`snapshot ${seq} is another than it was`],
  )
}

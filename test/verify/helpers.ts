/** What tests of verification share: a dataset with several snapshots, a log and linked content. */
import { openMemory } from '../../src/backend/memory.ts'
import type { CidBytes } from '../../src/model/cid.ts'
import { decodeSnapshot } from '../../src/model/snapshot.ts'
import type { VerifyReport } from '../../src/verify/report.ts'
import { verifyDataset, type VerifyOptions } from '../../src/verify/verify.ts'
import { damagedBackend, type DamagedBackend } from '../helpers/damage.ts'
import { collect, openTest, START, tempDir, type Clock, type Opened } from '../helpers/engine.ts'
import type { Backend } from '../../src/store/backend.ts'

export interface Filled extends Opened {
  readonly backend: DamagedBackend
  readonly inner: Backend
  readonly ledgerDir: string
  verify(mode?: VerifyOptions['mode'], more?: Partial<VerifyOptions>): Promise<VerifyReport>
}

/** Content of two blocks for every entity: a map, and bytes that it links to. */
export async function filled(
  inner: Backend = openMemory(),
  clock: Clock = { now: START },
): Promise<Filled> {
  const backend = damagedBackend(inner)
  const opened = await openTest({ backend, init: { content: 'linked', chunkSize: 64 }, clock })
  const { dataset } = opened
  for (let build = 0; build < 3; build++) {
    const puts = Array.from({ length: 150 }, (_, i) => ({
      pi: `e${String(i * 3 + build).padStart(5, '0')}`,
      value: { build, i },
    }))
    await dataset.putBatch(puts)
    await dataset.build()
    clock.now += 1000
  }
  await dataset.put('e00001', { late: 1 })
  await dataset.put('zz', { late: 2 })
  const ledgerDir = await tempDir()
  const verify: Filled['verify'] = (mode = { kind: 'full' }, more = {}) =>
    verifyDataset(backend, 'main', { mode, ledgerDir, now: () => clock.now, ...more })
  return { ...opened, backend, inner, ledgerDir, verify }
}

/** The tip of an entity. */
export async function tipOf({ dataset }: Opened, pi: string): Promise<CidBytes> {
  const tip = (await dataset.get(pi))?.tip
  if (tip === undefined || tip === null) throw new Error(`no ${pi}`)
  return tip
}

export async function rootOfSnapshot({ backend, dataset }: Opened, seq: number): Promise<CidBytes> {
  const snapshots = await collect(dataset.snapshots())
  const snapshot = snapshots.find((one) => one.seq === seq)
  const [bytes] = await backend.getBlocks([snapshot?.cid ?? new Uint8Array()])
  if (bytes === undefined) throw new Error(`no snapshot ${seq}`)
  return decodeSnapshot(bytes).root
}

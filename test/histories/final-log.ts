/**
 * What a dataset's log holds in the end, written beside the histories. An entry is appended first: behind its
 * commit no older attempt of a client that died can take effect any more.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { walkBack } from '../../src/chain/walk.ts'
import { openBackend } from '../../src/compose.ts'
import { Cairn } from '../../src/cairn.ts'
import { decodeCommit } from '../../src/model/commit.ts'
import type { Backend } from '../../src/store/backend.ts'

const FENCE = 'fence'
const label = (tip: Uint8Array | null): string =>
  tip === null ? '' : Buffer.from(tip.subarray(4)).toString()

export async function recordFinalLog(store: string, folder: string, base: bigint): Promise<void> {
  const path = join(folder, 'log.ndjson')
  const record = (line: unknown): void => appendFileSync(path, `${JSON.stringify(line)}\n`)
  const clock = (): number => Number(process.hrtime.bigint() - base)
  const backend = await openBackend(store, { create: false })
  try {
    const dataset = await new Cairn(backend).dataset('main')
    const tip = Uint8Array.from([1, 0x55, 0, FENCE.length, ...Buffer.from(FENCE)])
    const op = { lane: FENCE, n: 0 }
    const writes = [{ pi: FENCE, tip: FENCE }]
    record({ t: clock(), ...op, do: 'append', set: 'main', writes })
    const { pi, ver, position, status } = await dataset.append({ pi: FENCE, tip })
    record({ t: clock(), ...op, outcome: 'ok', found: [{ pi, ver, tip: FENCE, position, status }] })
    await recordLog(backend, record)
  } finally {
    await backend.close()
  }
}

async function recordLog(backend: Backend, record: (line: unknown) => void): Promise<void> {
  const stored = await backend.newest('main', -1)
  if (stored === undefined) throw new Error('the dataset has no commit')
  const { commit } = decodeCommit(stored.bytes)
  const { identity, origins, floor, next } = commit
  const log = { head: commit.head ?? commit.base, base: null, floor, next }
  for await (const { block } of walkBack(backend, { ...log, identities: [identity, ...origins] })) {
    for (const [i, { pi, ver, tip }] of block.entries.entries())
      record({ log: 'main', entry: { pi, ver, tip: label(tip), position: block.first + i } })
  }
  record({ log: 'main', next })
}

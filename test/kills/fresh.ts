/** What a store would hold that was given only what is kept. */
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import type { Whole } from './look.ts'
import type { Entities } from './material.ts'

/** In bytes of blocks. */
export async function freshBytes(whole: Whole): Promise<number> {
  const backend = openMemory()
  const cairn = new Cairn(backend)
  const { dataset } = await cairn.init('main', { chunkSize: 256 })
  const staging = await backend.stage('main', 'contents')
  await staging.put([...whole.contents.values()].map((block) => ({ ...block, hold: 'staged' })))
  await staging.flush()
  let before: Entities = new Map()
  for (const { entities } of whole.snapshots) {
    await appendAll((some) => dataset.appendBatch(some), changes(before, entities))
    await dataset.build()
    before = entities
  }
  await appendAll((some) => dataset.appendBatch(some), changes(before, whole.current))
  await staging.end('committed')
  await dataset.prune({ policy: { last: whole.snapshots.length } })
  const { sizeBytes = 0 } = await backend.status()
  await cairn.close()
  return sizeBytes
}

/** A deletion takes the version after the one that it ends. */
function changes(before: Entities, after: Entities): ImportEntry[] {
  const entries: ImportEntry[] = []
  for (const [pi, line] of after) {
    if (before.get(pi) === line) continue
    const [ver = '', tip = ''] = line.split(' ')
    entries.push({ pi, ver: Number(ver), tip: new Uint8Array(Buffer.from(tip, 'hex')) })
  }
  for (const [pi, line] of before)
    if (!after.has(pi)) entries.push({ pi, ver: Number(line.split(' ')[0]) + 1, tip: null })
  return entries
}

const BATCH = 2000

async function appendAll(
  append: (entries: readonly ImportEntry[]) => Promise<unknown>,
  entries: readonly ImportEntry[],
): Promise<void> {
  for (let at = 0; at < entries.length; at += BATCH) await append(entries.slice(at, at + BATCH))
}

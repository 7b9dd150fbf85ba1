/** What is held on a Kubo node by bundles and pins, in tests: many blocks put, swept, and looked for. */
import { openKubo } from '../../src/backend/kubo/index.ts'
import { parseCid, type Block, type CidBytes } from '../../src/model/cid.ts'
import type { Backend, HeldBlock, HeldCid, Hold, Staging } from '../../src/store/backend.ts'
import { leaf, linking, pinsOf } from './kubo-blocks.ts'
import { askNode } from './kubo-node.ts'

export const HOUR: number = 60 * 60_000
/** So many are bundled. */
export const MANY = 10

export async function loseAllHolds(url: string): Promise<void> {
  await askNode(url, 'files/rm', { arg: '/cairn', force: 'true' })
  for (const type of ['recursive', 'direct'] as const)
    for (const cid of await pinsOf(url, type))
      await askNode(url, 'pin/rm', { arg: cid, recursive: String(type === 'recursive') })
}

/** Blocks that are held, each with content of its own. */
export function manyDeep(): { readonly deep: HeldBlock[]; readonly content: Block[] } {
  const content = Array.from({ length: MANY }, leaf)
  return { deep: content.map((one) => linking('deep', one)), content }
}

export async function put(
  staging: Staging,
  deep: readonly HeldBlock[],
  content: readonly Block[],
): Promise<void> {
  const under = content.map((one): HeldBlock => ({ ...one, hold: 'under' }))
  await staging.put([...under, ...deep])
  await staging.flush()
}

/** By a writer of its own that committed and ended well. */
export async function bundleOf(
  url: string,
  held: readonly HeldBlock[],
  content: readonly Block[],
): Promise<CidBytes> {
  const before = new Set(await pinsOf(url, 'recursive'))
  const writer = await openKubo({ url })
  const staging = await writer.stage('main', 'a restore')
  await put(staging, held, content)
  await staging.end('committed')
  await writer.close()
  const [bundle = ''] = (await pinsOf(url, 'recursive')).filter((cid) => !before.has(cid))
  return parseCid(bundle)
}

export const marksOf = (blocks: readonly HeldBlock[], hold?: Hold): HeldCid[] =>
  blocks.map((one) => ({ cid: one.cid, hold: (hold ?? one.hold) === 'self' ? 'self' : 'deep' }))

/** All that was ever put is offered, as one who prunes does. */
export async function sweep(
  backend: Backend,
  marks: readonly HeldCid[],
  offer: readonly HeldCid[] = [],
): Promise<number> {
  const one = await backend.sweep({ waitMs: 0 })
  try {
    await one.mark(marks)
    await one.offer(offer)
    return (await one.free()).blocks
  } finally {
    await one.end()
  }
}

export const pinCounts = async (url: string): Promise<[recursive: number, direct: number]> => [
  (await pinsOf(url, 'recursive')).length,
  (await pinsOf(url, 'direct')).length,
]

export async function namesIn(url: string, path: string): Promise<string[]> {
  const answer = await askNode(url, 'files/ls', { arg: path }).catch(() => '{}')
  const { Entries } = JSON.parse(answer) as { Entries?: { Name: string }[] | null }
  return (Entries ?? []).map(({ Name }) => Name)
}

export async function survivors(backend: Backend, blocks: readonly Block[]): Promise<number> {
  await backend.compact()
  const there = await backend.hasBlocks(blocks.map(({ cid }) => cid))
  return there.filter(Boolean).length
}

/** What the tests of sweeping are made of. */
import type { Backend, Freed, HeldBlock, HeldCid } from '../../src/store/backend.ts'
import { block, stageAll } from './material.ts'

export const WAIT_MS = 10_000

export async function makeBlocks(count: number, backend?: Backend): Promise<HeldBlock[]> {
  const blocks = Array.from({ length: count }, (_, i) => block(60 + i * 7))
  if (backend) await stageAll(backend, blocks)
  return blocks
}

export const held = (blocks: readonly HeldBlock[]): HeldCid[] =>
  blocks.map(({ cid, hold }) => ({ cid, hold: hold === 'deep' ? 'deep' : 'self' }))

export const cidsOf = (blocks: readonly HeldBlock[]): Uint8Array[] => blocks.map(({ cid }) => cid)

export const has = async (backend: Backend, blocks: readonly HeldBlock[]): Promise<boolean[]> =>
  await backend.hasBlocks(cidsOf(blocks))

export const all = (blocks: readonly unknown[], answer: boolean): boolean[] =>
  blocks.map(() => answer)

export interface Swept {
  /** What has a mark. */
  readonly keep?: readonly HeldBlock[]
  /** What a store that frees by itself is told of. */
  readonly offer: readonly HeldBlock[]
  /** What happens between the beginning and `free`. */
  readonly meanwhile?: () => Promise<unknown>
}

/** A whole sweep; a store that frees by itself is asked to do so at its end. */
export async function sweepAll(
  backend: Backend,
  { keep = [], offer, meanwhile }: Swept,
): Promise<{ freed: Freed; frees: 'blocks' | 'holds' }> {
  const sweep = await backend.sweep({ waitMs: WAIT_MS })
  await meanwhile?.()
  await sweep.mark(held(keep))
  await sweep.offer(held(offer))
  const freed = await sweep.free()
  await sweep.end()
  if (sweep.frees === 'holds') await backend.compact()
  return { freed, frees: sweep.frees }
}

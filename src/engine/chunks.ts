/** The chunks of a snapshot: its leaves as the branches above describe them, none of them read. */
import { idOfKey } from '../model/entity-id.ts'
import type { CidBytes } from '../model/cid.ts'
import { LevelCursor, type Place } from '../tree/cursor.ts'
import type { Context } from './context.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'

export interface Chunk {
  readonly cid: CidBytes
  /** The last id in it; empty for the one chunk of an empty snapshot. */
  readonly last: string
  readonly entries: number
  readonly live: number
  readonly bytes: number
}

export async function* chunksOf(
  context: Context,
  header: SnapshotHeader,
  signal?: AbortSignal,
): AsyncGenerator<Chunk> {
  const { node, child } = await context.nodes.readRoot(header.root, signal)
  const cursor = new LevelCursor(context.nodes, child, node.level, 0, signal)
  for (let place: Place | undefined = await cursor.first(); place !== undefined;) {
    const { cid, last, count, live, bytes } = place.child
    yield { cid, last: idOfKey(last), entries: count, live, bytes }
    place = await cursor.next(place)
  }
}

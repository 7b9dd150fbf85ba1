/**
 * The CAR that answers a request: the blocks on the way of its path, then what is asked for at its end,
 * depth-first in the order of the links. Every block is hashed before it is written. Memory is bounded: by what
 * waits to be followed, and, for blocks that are sent once, by a table that goes to a file.
 */
import { setImmediate } from 'node:timers/promises'
import { CarWriter, type CarSink } from '../car/writer.ts'
import { CairnError } from '../errors.ts'
import { inlineBytes, type CidBytes } from '../model/cid.ts'
import { walkContent } from '../reach/content.ts'
import { seenIn, type Met, type Seen, type Visitor } from '../reach/met.ts'
import { storeSource } from '../reach/source.ts'
import type { CallOptions } from '../store/backend.ts'
import type { BlockReader } from '../store/proved.ts'
import { DigestMap } from '../util/digest-map.ts'
import type { AskedCar } from './ask.ts'
import { walkEntity } from './entity.ts'
import { blockOf, type Resolved } from './resolve.ts'

/** Links that wait to be followed, of one CAR. */
const MAX_PENDING = 500_000
/** Digests that one CAR holds in memory. */
const MEMORY_ENTRIES = 1 << 16
/** Of a DAG with shared blocks the number of ways through it may have no end. */
const MOST_WITH_DUPS = 10_000_000

/** A store may answer at once, again and again: so many small blocks are hashed before others have their turn. */
const BLOCKS_A_TURN = 512

const NOTHING: Seen = { has: () => false, add: () => true }

export interface CarOptions extends CallOptions {
  /** More blocks than this end a CAR with `dups`; ten million unless given. */
  readonly mostWithDups?: number | undefined
}

export async function writeAskedCar(
  store: BlockReader,
  { way, end, bytes }: Resolved,
  { scope, bytes: part, dups }: AskedCar,
  sink: CarSink,
  { signal, mostWithDups = MOST_WITH_DUPS }: CarOptions,
): Promise<void> {
  const [sentTable, walkedTable] = [tableOf(), tableOf()]
  try {
    const walked = dups ? NOTHING : seenIn(walkedTable)
    // A part of a file may send a block without all that is under it; else who walks knows what was sent.
    const sent = dups || scope !== 'entity' ? NOTHING : seenIn(sentTable)
    const writer = await CarWriter.begin(sink, [end])
    let count = 0
    const put = (met: Met): void | Promise<void> => {
      count += 1
      if (dups && count > mostWithDups) throw tooMany(mostWithDups)
      const written = writer.put(met.cid, met.bytes)
      return count % BLOCKS_A_TURN === 0 ? nextTurn(written) : written
    }
    const visitor: Visitor = {
      block: (met) => (sent.add(met.cid) ? put(met) : undefined),
      problem(error) {
        throw error
      },
    }
    const source = storeSource(store)
    const walk = (roots: readonly CidBytes[], deep: boolean): Promise<void> =>
      walkContent({ source, visitor, seen: walked, deep, mostPending: MAX_PENDING, signal }, roots)
    await walk(way, false)
    if (scope === 'entity') {
      const take = async (met: Met): Promise<boolean> => {
        if (inlineBytes(met.cid) !== undefined) return true
        if (!sent.add(met.cid)) return false
        await put(met)
        return true
      }
      const read = (cid: CidBytes): Promise<Uint8Array> => blockOf(store, cid, { signal })
      await walkEntity({ read, take, all: (cids) => walk(cids, true) }, end, bytes, part)
    } else await walk([end], scope === 'all')
    await writer.finish()
  } finally {
    sentTable.close()
    walkedTable.close()
  }
}

async function nextTurn(written: void | Promise<void>): Promise<void> {
  await written
  await setImmediate()
}

const tableOf = (): DigestMap => new DigestMap({ memoryEntries: MEMORY_ENTRIES })

function tooMany(most: number): CairnError {
  return new CairnError('too_large', `A CAR with dups=y has at most ${most} blocks.`, {
    hint: 'Ask for dups=n: each block is sent once.',
  })
}

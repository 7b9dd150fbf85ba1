/** What the root of a CAR says, as the JSON in which it is printed. */
import { isCairnError } from '../errors.ts'
import { printCid, type CidBytes } from '../model/cid.ts'
import { printOrNull } from '../model/entry-record.ts'
import { formatTime } from '../model/time.ts'
import { factsOf, stateOfRoot, type CarState, type OpenCar } from './state.ts'

export type RootRecord = Readonly<Record<string, unknown>> & { readonly cid: string }

/** Of a root that is not there, or is no state of Cairn, only why. */
export function rootRecord(cars: readonly OpenCar[], root: CidBytes): RootRecord {
  const cid = printCid(root)
  try {
    return { cid, ...stateRecord(stateOfRoot(cars, root)) }
  } catch (error) {
    if (isCairnError(error)) return { cid, kind: null, problem: error.message }
    throw error
  }
}

function stateRecord(state: CarState): Record<string, unknown> {
  const { checkpoint, snapshot, header } = state
  const facts = factsOf(state)
  return {
    kind: checkpoint === undefined ? 'snapshot' : 'checkpoint',
    dataset: facts.dataset ?? null,
    identity: facts.identity,
    origins: facts.origins,
    generation: checkpoint?.generation.number ?? null,
    car_content: facts.content,
    content: header.content,
    snapshot: printCid(snapshot),
    since: printOrNull(checkpoint?.since ?? null),
    seq: header.seq,
    ts: formatTime(header.ts),
    reason: header.reason,
    tags: header.tags,
    meta: header.meta,
    entries: header.entries,
    live: header.live,
    chunk_count: header.chunkCount,
    chunk_size: header.chunkSize,
    recent_count: facts.recentCount,
    total_count: facts.totalCount,
    next: facts.next,
  }
}

/** The way through a DAG: the blocks that were passed, as it stands in the address. */

export interface Way {
  /** The entity that it began at. */
  readonly pi: string | undefined
  /** The blocks before this one, the first one first. */
  readonly cids: readonly string[]
}

/** As many as are kept; of a longer way the end. */
const MOST = 12

type Query = Readonly<Record<string, string | undefined>>

export function wayOf(query: Query): Way {
  const text = query['way'] ?? ''
  return { pi: query['of'], cids: text === '' ? [] : text.split('.').slice(-MOST) }
}

export function wayQuery({ pi, cids }: Way): Query {
  return { of: pi, way: cids.slice(-MOST).join('.') }
}

/** For the links of a block. Whoever comes by a block again is where they were. */
export function wayOn({ pi, cids }: Way, cid: string): Way {
  const before = cids.indexOf(cid)
  return { pi, cids: before < 0 ? [...cids, cid] : cids.slice(0, before + 1) }
}

/** For going back to a block of the way. */
export function wayBack({ pi, cids }: Way, to: number): Way {
  return { pi, cids: cids.slice(0, to) }
}

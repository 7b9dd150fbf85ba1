/**
 * Coverage: for every moment of a stretch of time, to which state could the dataset be brought back, from
 * what, and when was that last proved. Pure.
 *
 * A kept commit brings back each moment from itself to the next one, so all moments since the oldest kept
 * commit can be had exactly. A kept snapshot and a CAR hold the state of one moment: for a later moment
 * they bring back that state, and what came between is lost. A CAR that holds all there is now brings
 * back every moment since it exactly. Two questions are answered side by side, since a store is lost
 * as a whole: what the store itself can bring back, and what the CARs alone can.
 */

export type Prover = 'verify' | 'drill' | 'export'

export interface Proof {
  readonly at: number
  readonly by: Prover
}

/** A state that can be brought back. */
export interface StatePoint {
  readonly kind: 'snapshot' | 'car'
  /** A selector of a snapshot, or the name of a file. */
  readonly name: string
  /** The moment that it is the state of. */
  readonly ts: number
  /** All there is now: nothing came after it. */
  readonly complete: boolean
  readonly proof: Proof | null
}

export interface CoverageInput {
  /** The stretch of time: from here (included) to `now`. */
  readonly from: number
  readonly now: number
  /** When the oldest kept commit was made; null: none can be read. */
  readonly commitsFrom: number | null
  readonly storeProof: Proof | null
  readonly snapshots: readonly StatePoint[]
  readonly cars: readonly StatePoint[]
}

export interface Recovery {
  readonly by: 'commit' | 'snapshot' | 'car'
  /** Null for commits: any moment is named by itself. */
  readonly name: string | null
  /** Every moment of the interval, or only that of `to`. */
  readonly exact: boolean
  /** The moment of the state that comes back; null where it is the one asked for. */
  readonly to: number | null
  /** The most that is lost, in time, for a moment of the interval. */
  readonly losesMs: number
  readonly proof: Proof | null
}

export interface Interval {
  readonly from: number
  /** Not included, but in the last interval, which may be this moment alone. */
  readonly to: number
  readonly store: Recovery | null
  readonly cars: Recovery | null
}

/** In order, without gaps and overlaps, from `from` to `now`. */
export function coverage(input: CoverageInput): Interval[] {
  const { from, now, commitsFrom, snapshots, cars } = input
  const marks = [from, ...[...snapshots, ...cars].map(({ ts }) => ts), commitsFrom ?? from]
  const begins = [...new Set(marks.filter((ts) => ts >= from && ts <= now))].sort((a, b) => a - b)
  const newestSnapshots = [...snapshots].sort(newestFirst)
  const newestCars = [...cars].sort(newestFirst)
  const pieces = begins.map((begin, i) => {
    const stretch = { from: begin, to: begins[i + 1] ?? now }
    return {
      ...stretch,
      store: storeRecovery(stretch, input, newestSnapshots),
      cars: pointRecovery(stretch, newestCars),
    }
  })
  return merged(pieces)
}

interface Stretch {
  readonly from: number
  readonly to: number
}

function storeRecovery(
  stretch: Stretch,
  { commitsFrom, storeProof }: CoverageInput,
  newest: readonly StatePoint[],
): Recovery | null {
  if (commitsFrom === null || stretch.from < commitsFrom) return pointRecovery(stretch, newest)
  return { by: 'commit', name: null, exact: true, to: null, losesMs: 0, proof: storeProof }
}

/** The newest state that is not later than the stretch. */
function pointRecovery({ from, to }: Stretch, newest: readonly StatePoint[]): Recovery | null {
  const point = newest.find(({ ts }) => ts <= from)
  if (point === undefined) return null
  const { kind: by, name, ts, complete, proof } = point
  const losesMs = complete ? 0 : to - ts
  return { by, name, exact: complete, to: complete ? null : ts, losesMs, proof }
}

/** Of two of one moment the one that was proved later, then the complete one. */
function newestFirst(a: StatePoint, b: StatePoint): number {
  return (
    b.ts - a.ts ||
    Number(b.complete) - Number(a.complete) ||
    (b.proof?.at ?? -1) - (a.proof?.at ?? -1)
  )
}

/** Neighbours that come back from the same are one. */
function merged(pieces: readonly Interval[]): Interval[] {
  const joined: Interval[] = []
  for (const piece of pieces) {
    const last = joined.at(-1)
    if (last === undefined || !isSame(last.store, piece.store) || !isSame(last.cars, piece.cars)) {
      joined.push(piece)
      continue
    }
    const { to, store, cars } = piece
    joined[joined.length - 1] = { from: last.from, to, store, cars }
  }
  return joined
}

function isSame(a: Recovery | null, b: Recovery | null): boolean {
  if (a === null || b === null) return a === b
  return a.by === b.by && a.name === b.name && a.to === b.to && a.exact === b.exact
}

export interface CoverageFinding {
  readonly kind: 'hole' | 'no_car' | 'unproved' | 'offsite'
  readonly level: 'warning' | 'critical'
  readonly from: string
  readonly to: string
  readonly message: string
  readonly hint: string
}

/** What is wrong with it: moments that are lost, and what stands on the store alone. */
export function coverageFindings(intervals: readonly Interval[]): CoverageFinding[] {
  const holes = intervals.filter(({ store, cars }) => store === null && cars === null)
  const last = intervals.at(-1)
  return [
    ...holes.map((hole) =>
      finding('hole', 'critical', hole, 'Nothing of this time can be brought back', {
        hint: 'Keep snapshots or CARs for longer: keep_snapshots, keep_cars, or `--keep` of the jobs.',
      }),
    ),
    ...(last !== undefined && last.cars === null && last.store !== null
      ? [
          finding('no_car', 'critical', last, 'The newest state is in the store alone', {
            hint: 'cairn export-car, and a copy of it elsewhere',
          }),
        ]
      : []),
    ...(last?.store?.proof === null
      ? [
          finding(
            'unproved',
            'warning',
            last,
            'The store was never proved as a whole, or is damaged',
            {
              hint: 'cairn verify',
            },
          ),
        ]
      : []),
  ]
}

export function finding(
  kind: CoverageFinding['kind'],
  level: CoverageFinding['level'],
  { from, to }: Stretch,
  message: string,
  { hint }: { readonly hint: string },
): CoverageFinding {
  const at = { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
  return { kind, level, ...at, message, hint }
}

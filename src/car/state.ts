/** The state that CARs hold: which of their roots is meant, and what a dataset needs to know of it. */
import { CairnError, isCairnError, toCairnError } from '../errors.ts'
import {
  decodeCheckpoint,
  placeAfter,
  type CarContent,
  type Checkpoint,
  type LogPlace,
} from '../model/checkpoint.ts'
import { cidMatches, isEngineCid, printCid, type CidBytes } from '../model/cid.ts'
import { decodeIpldMap } from '../model/ipld.ts'
import { CHECKPOINT_SCHEMA, SNAPSHOT_SCHEMA } from '../model/schema.ts'
import { decodeSnapshot, type SnapshotHeader } from '../model/snapshot.ts'

/** A CAR that is open: any block of it at hand. */
export interface OpenCar {
  readonly path: string
  readonly roots: readonly CidBytes[]
  has(cid: CidBytes): boolean
  /** Of the block in the file. */
  offsetOf(cid: CidBytes): number | undefined
  /** Unproved. */
  read(cid: CidBytes): Uint8Array | undefined
}

export interface CarState {
  /** The block that reaches all of it: a checkpoint, or (from other tools) a snapshot. */
  readonly root: CidBytes
  /** Absent where the root is a snapshot. */
  readonly checkpoint: Checkpoint | undefined
  readonly snapshot: CidBytes
  readonly header: SnapshotHeader
}

/**
 * The state of one root of the CARs, the newest unless `selector` (`seq:N`, or the CID of a snapshot or
 * checkpoint, or its beginning) names another. A root that is no state is refused, whatever the others are.
 */
export function findCarState(cars: readonly OpenCar[], selector?: string): CarState {
  const states = cars.flatMap(({ roots }) => roots.map((root) => stateOfRoot(cars, root)))
  const matching = selector === undefined ? states : states.filter(matcher(selector))
  const [newest] = matching.toSorted(newestFirst)
  if (newest !== undefined) return newest
  if (states.length > 0) {
    throw new CairnError('not_found', `No snapshot in the CAR is "${selector}".`, {
      hint: 'Select by seq:7 or a CID; `cairn car inspect` shows what is in it.',
    })
  }
  const paths = cars.map(({ path }) => path).join(', ')
  throw new CairnError('invalid_car', `No root is named by ${paths}.`, { hint: FOREIGN_HINT })
}

const FOREIGN_HINT =
  'It is a CAR of something else; `cairn import-arke` reads those of the older system.'

/** The state that a root of the CARs is, a checkpoint or a snapshot. */
export function stateOfRoot(cars: readonly OpenCar[], root: CidBytes): CarState {
  if (!isEngineCid(root)) throw foreignRoot(root)
  const rootBytes = needed(cars, root, 'root')
  const checkpoint = decodeAs(root, rootBytes, CHECKPOINT_SCHEMA, decodeCheckpoint)
  const snapshot = checkpoint?.snapshot ?? root
  const bytes = needed(cars, snapshot, 'snapshot')
  const header = decodeAs(snapshot, bytes, SNAPSHOT_SCHEMA, decodeSnapshot)
  if (header !== undefined) return { root, checkpoint, snapshot, header }
  throw foreignRoot(root)
}

function foreignRoot(root: CidBytes): CairnError {
  const cid = printCid(root)
  return new CairnError('invalid_car', `The root ${cid} is no checkpoint or snapshot of Cairn.`, {
    hint: FOREIGN_HINT,
    cid,
  })
}

/** Undefined for a block of another kind. */
function decodeAs<T>(
  cid: CidBytes,
  bytes: Uint8Array,
  schema: string,
  decode: (bytes: Uint8Array) => T,
): T | undefined {
  try {
    if (isOther(bytes, schema)) return undefined
    return decode(bytes)
  } catch (error) {
    const { code, message, hint, cause, details } = toCairnError(error)
    const info = { ...details, ...(hint === undefined ? {} : { hint }), cause }
    throw new CairnError(code, message, { ...info, cid: printCid(cid) })
  }
}

/** One of another version is not of another kind. */
function isOther(bytes: Uint8Array, schema: string): boolean {
  try {
    decodeIpldMap(bytes, schema)
    return false
  } catch (error) {
    if (isCairnError(error, 'format_unsupported')) throw error
    return true
  }
}

/** A block that the CARs must have, proved; `what` names it in the error. */
export function needed(cars: readonly OpenCar[], cid: CidBytes, what: string): Uint8Array {
  const bytes = readFrom(cars, cid)
  if (bytes !== undefined) return bytes
  throw new CairnError('block_missing', `The CAR lacks its ${what} ${printCid(cid)}.`, {
    hint: 'It was cut short, or is only a part; take another copy.',
    cid: printCid(cid),
  })
}

/** A block of the CARs, proved. */
export function readFrom(cars: readonly OpenCar[], cid: CidBytes): Uint8Array | undefined {
  for (const car of cars) {
    const bytes = car.read(cid)
    if (bytes === undefined) continue
    if (cidMatches(cid, bytes)) return bytes
    throw new CairnError(
      'block_mismatch',
      `The block ${printCid(cid)} of ${car.path} is damaged.`,
      {
        hint: 'Take another copy of the CAR.',
        cid: printCid(cid),
        path: car.path,
      },
    )
  }
  return undefined
}

function matcher(selector: string): (state: CarState) => boolean {
  const seq = /^seq:(\d{1,15})$/.exec(selector)
  if (seq !== null) return ({ header }) => header.seq === Number(seq[1])
  return ({ root, snapshot }) =>
    selector === 'latest' ||
    [root, snapshot].some((cid) => {
      const text = printCid(cid)
      return text === selector || (selector.length >= 8 && text.startsWith(selector))
    })
}

function newestFirst(a: CarState, b: CarState): number {
  const next = ({ checkpoint, header }: CarState): number => checkpoint?.next ?? header.upto
  return b.header.seq - a.header.seq || next(b) - next(a)
}

/** The facts of a checkpoint; of a snapshot alone what its header says. */
export interface CarFacts extends LogPlace {
  readonly dataset: string | undefined
  readonly identity: string
  readonly origins: readonly string[]
  readonly generation: number
  readonly settings: Checkpoint['settings'] | undefined
  readonly content: CarContent
  readonly chain: CidBytes | null
}

export function factsOf({ checkpoint, header }: CarState): CarFacts {
  if (checkpoint !== undefined) return { ...checkpoint, generation: checkpoint.generation.number }
  return {
    dataset: undefined,
    identity: header.dataset,
    origins: [],
    generation: 0,
    settings: undefined,
    content: header.content === 'linked' ? 'full' : 'index',
    chain: null,
    ...placeAfter(header),
  }
}

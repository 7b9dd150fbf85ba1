/** CARs that are open: what they say of themselves, verifying them, their blocks. Runs on Node as well. */
import { CarFile } from '../../../src/car/file.ts'
import { ofFile } from '../../../src/car/of-file.ts'
import { rootRecord } from '../../../src/car/root-record.ts'
import { readFrom } from '../../../src/car/state.ts'
import type { LongOptions } from '../../../src/engine/context.ts'
import { verifyCar } from '../../../src/engine/verify-car.ts'
import { CairnError, toCairnError } from '../../../src/errors.ts'
import { cidParts, parseCid, printCid } from '../../../src/model/cid.ts'
import { refuseEncrypted } from './encrypted.ts'
import type {
  CarErrorRecord,
  CarFileRecord,
  CarRootRecord,
  CarStateRecord,
  CarSummary,
  CarVerification,
} from './protocol.ts'
import { openStates, type States } from './states.ts'

export interface NamedPath {
  readonly name: string
  readonly path: string
}

export interface CarSession {
  readonly summary: CarSummary
  /** Throws what `summary.problem` says where there is no state. */
  readonly states: () => States
  readonly verify: (options?: LongOptions) => Promise<CarVerification>
  readonly block: (cid: string) => Uint8Array
  readonly place: (cid: string) => { path: string; offset: number } | null
  readonly close: () => Promise<void>
}

export async function openSession(
  files: readonly NamedPath[],
  options: LongOptions = {},
): Promise<CarSession> {
  const cars: CarFile[] = []
  const close = async (): Promise<void> => {
    for (const car of cars.splice(0)) await car.close()
  }
  try {
    for (const file of files) cars.push(await openOne(file, options))
    const states = await openStates(cars).catch(toCairnError)
    return sessionOf(cars, files, states, close)
  } catch (error) {
    await close()
    throw error
  }
}

function openOne({ name, path }: NamedPath, options: LongOptions): Promise<CarFile> {
  return ofFile(name, path, async () => {
    await refuseEncrypted(name, path)
    return CarFile.open(path, options)
  })
}

function sessionOf(
  cars: readonly CarFile[],
  files: readonly NamedPath[],
  states: States | CairnError,
  close: () => Promise<void>,
): CarSession {
  return {
    summary: summaryOf(cars, files, states),
    states: () => {
      if (states instanceof CairnError) throw states
      return states
    },
    verify: (options) => verifyCar(cars, options),
    block: (cid) => readBlock(cars, cid),
    place: (text) => {
      const cid = parseCid(text)
      const car = cars.find((one) => one.offsetOf(cid) !== undefined)
      const offset = car?.offsetOf(cid)
      return car === undefined || offset === undefined ? null : { path: car.path, offset }
    },
    close,
  }
}

function summaryOf(
  cars: readonly CarFile[],
  files: readonly NamedPath[],
  states: States | CairnError,
): CarSummary {
  const records = cars.map((car, i) => fileRecord(cars, car, files[i]?.name ?? car.path))
  const roots = records.flatMap((file) => file.roots)
  const current = states instanceof CairnError ? undefined : printCid(states.root)
  const state = roots.find(({ cid }) => cid === current) as CarStateRecord | undefined
  return {
    files: records,
    bytes: records.reduce((sum, { size }) => sum + size, 0),
    blocks: records.reduce((sum, { blocks }) => sum + blocks, 0),
    state: state ?? null,
    problem: states instanceof CairnError ? errorRecord(states) : null,
    is_delta: typeof state?.since === 'string',
  }
}

function fileRecord(cars: readonly CarFile[], car: CarFile, name: string): CarFileRecord {
  const { path, size, version, duplicates } = car
  return {
    name,
    path,
    size,
    version,
    blocks: car.blockCount ?? 0,
    duplicates,
    roots: car.roots.map((root) => rootRecord(cars, root) as unknown as CarRootRecord),
  }
}

function readBlock(cars: readonly CarFile[], text: string): Uint8Array {
  const cid = parseCid(text)
  const { hash, digest } = cidParts(cid)
  const bytes = hash === 'identity' ? digest : readFrom(cars, cid)
  if (bytes !== undefined) return bytes
  throw new CairnError('not_found', `The CAR has no block ${printCid(cid)}.`, {
    hint: 'It holds a part only: a delta needs its base beside it, and content may have been left out.',
    cid: printCid(cid),
  })
}

/** An error as it can be sent. */
export function errorRecord(thrown: unknown): CarErrorRecord {
  const { code, message, hint, details } = toCairnError(thrown)
  return { code, message, ...(hint === undefined ? {} : { hint }), details: plain(details) }
}

const plain = (details: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(details).filter(([, value]) =>
      ['string', 'number', 'boolean'].includes(typeof value),
    ),
  )

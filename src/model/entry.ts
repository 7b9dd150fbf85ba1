/**
 * Entry: one version of one entity, the tuple `[pi, ver, tip, ts, exp]`. FORMAT.md, "Entry".
 *
 * On the hot paths an entry is a slice of encoded bytes in a run (run.ts); the object below is made
 * where someone looks at it.
 */
import { CairnError } from '../errors.ts'
import {
  NULL_BYTE,
  Scanner,
  writeArrayHead,
  writeBytes,
  writeKey,
  writeLink,
  writeUint,
} from './cbor.ts'
import { cidParts } from './cid.ts'
import { idOfKey, keyOf, parseId } from './entity-id.ts'

/** What a tip is, said once when a dataset is made. `linked`: a Link whose DAG the store holds. */
export type ContentMode = 'linked' | 'external'

export interface Entry {
  readonly pi: string
  readonly ver: number
  /** The CID of the content, as bytes; null: deleted. */
  readonly tip: Uint8Array | null
  /** Milliseconds since 1970. */
  readonly ts: number
  /** When it stops counting, in milliseconds since 1970; null: never. */
  readonly exp: number | null
}

const FIELDS = 5
/** An encoded entry without its id is never longer: what a leaf's weight limit rests on. */
export const ENTRY_OVERHEAD = 76

export function validateEntry(entry: Entry): void {
  parseId(entry.pi)
  parseVersion(entry.ver)
  parseTime(entry.ts, 'ts')
  if (entry.exp !== null) parseTime(entry.exp, 'exp')
  if (entry.tip !== null) cidParts(entry.tip)
}

export function parseVersion(ver: unknown): number {
  if (typeof ver === 'number' && Number.isSafeInteger(ver) && ver >= 1) return ver
  throw new CairnError('invalid_entry', `A version was refused: ${String(ver)}.`, {
    hint: 'A version is a whole number from 1 to 9007199254740991.',
  })
}

export function parseTime(time: unknown, field: string): number {
  if (typeof time === 'number' && Number.isSafeInteger(time) && time >= 0) return time
  throw new CairnError('invalid_entry', `The field "${field}" was refused: ${String(time)}.`, {
    hint: 'A time is a whole number of milliseconds since 1970, not negative.',
  })
}

/** Writes one entry; `to` has room for its overhead and id. Returns the offset behind it. */
export function writeEntry(
  to: Uint8Array,
  at: number,
  entry: Entry,
  content: ContentMode,
  key: string = keyOf(entry.pi),
): number {
  let next = writeArrayHead(to, at, FIELDS)
  next = writeKey(to, next, key)
  next = writeUint(to, next, entry.ver)
  if (entry.tip === null) to[next++] = NULL_BYTE
  else if (content === 'linked') next = writeLink(to, next, entry.tip)
  else next = writeBytes(to, next, entry.tip)
  next = writeUint(to, next, entry.ts)
  if (entry.exp !== null) return writeUint(to, next, entry.exp)
  to[next] = NULL_BYTE
  return next + 1
}

/** What a scan of an encoded entry tells besides its extent. */
export interface ScannedEntry {
  keyStart: number
  keyEnd: number
  live: boolean
  exp: number | null
}

/** Reads over one entry, checking its shape; the result object is reused by the caller. */
export function scanEntry(scanner: Scanner, into: ScannedEntry): void {
  if (scanner.arrayHead() !== FIELDS) scanner.fail('an entry has five fields')
  scanner.text()
  into.keyStart = scanner.start
  into.keyEnd = scanner.end
  const length = scanner.end - scanner.start
  if (length === 0 || length > 512) scanner.fail('an id has 1 to 512 bytes')
  if (scanner.uint() === 0) scanner.fail('a version is at least 1')
  into.live = scanTip(scanner)
  scanner.uint()
  into.exp = scanner.uintOrNull()
}

/** Reads over a tip; leaves its CID in the scanner's span. False for null. */
function scanTip(scanner: Scanner): boolean {
  const first = scanner.bytes[scanner.at]
  if (first === NULL_BYTE) {
    scanner.at += 1
    return false
  }
  if (first === 0xd8) scanner.link()
  else scanner.byteString()
  const { bytes, start, end } = scanner
  // The shape nearly all tips have is checked in place, any other by taking the CID apart.
  const usual =
    end - start === 36 &&
    bytes[start] === 1 &&
    (bytes[start + 1] ?? 0) < 0x80 &&
    bytes[start + 2] === 0x12 &&
    bytes[start + 3] === 32
  if (!usual) checkTip(scanner)
  return true
}

function checkTip(scanner: Scanner): void {
  try {
    cidParts(scanner.bytes.subarray(scanner.start, scanner.end))
  } catch {
    scanner.fail('a tip is not a CID that Cairn takes')
  }
}

/** The entry at `at` as an object. */
export function readEntry(bytes: Buffer, at: number): Entry {
  const scanner = new Scanner(bytes, at, 'entry')
  scanner.arrayHead()
  scanner.text()
  const key = bytes.toString('latin1', scanner.start, scanner.end)
  const ver = scanner.uint()
  const tip = scanTip(scanner) ? scanner.copySpan() : null
  const ts = scanner.uint()
  return { pi: idOfKey(key), ver, tip, ts, exp: scanner.uintOrNull() }
}

/** The entry's expiry alone. */
export function readExp(bytes: Uint8Array, at: number): number | null {
  const scanner = new Scanner(bytes, at, 'entry')
  scanner.arrayHead()
  scanner.text()
  scanner.uint()
  scanTip(scanner)
  scanner.uint()
  return scanner.uintOrNull()
}

/** What an entry adds to the count of live entities. */
export const liveOf = (entry: Entry | undefined): 0 | 1 =>
  entry === undefined || entry.tip === null ? 0 : 1

/** Whether an entry counts at a moment: expired ones do not. */
export function isExpired(exp: number | null, at: number): boolean {
  return exp !== null && exp <= at
}

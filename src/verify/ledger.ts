/**
 * The ledger: when each part of a dataset was last proved, and what was found. One file for each store and
 * dataset, a line of JSON for each part, replaced whole and synced: a crash leaves the one before.
 *
 * It is a memory, never a source of truth: without it everything has yet to be proved.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, rename, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { replaceFile } from '../util/durable-file.ts'
import { systemCodeOf } from '../util/system-error.ts'
import { FOUND_STATES, type Findings, type Problem } from './finding.ts'

export interface KnownProblem extends Problem {
  readonly firstSeen: number
  readonly lastSeen: number
}

/** Where the next stretch of the log begins, so that a walk need not read this one to find it. */
export interface NextStretch {
  readonly cid: string | null
  /** The lowest position in this stretch. */
  readonly at: number
}

export interface PartRecord {
  /** When all of it was last looked at; null: never. */
  readonly proved: number | null
  readonly blocks: number
  readonly bytes: number
  readonly problems: readonly KnownProblem[]
  /** Problems that are not listed. */
  readonly unlisted: number
  readonly next?: NextStretch
  /** Of a spine: its tree is the one that its entries make, which stays so. */
  readonly canonical?: true
}

export interface LedgerOf {
  readonly location: string
  readonly dataset: string
  readonly identity: string
}

const FORMAT = 'cairn/ledger@v1'
const FRESH: PartRecord = { proved: null, blocks: 0, bytes: 0, problems: [], unlisted: 0 }
/** Of all parts together so many problems are listed. */
const MOST_LISTED = 100_000
const WRITE_CHARS = 256 * 1024

export class Ledger {
  readonly path: string
  readonly #of: LedgerOf
  readonly #records = new Map<string, PartRecord>()
  #listed = 0
  /** What happened to the file of before, if it could not be read. */
  note: string | undefined

  private constructor(path: string, of: LedgerOf) {
    this.path = path
    this.#of = of
  }

  /** The ledger in `folder`, which need not be there. A file that cannot be read is moved aside. */
  static async open(folder: string, of: LedgerOf): Promise<Ledger> {
    const name = createHash('sha256').update(JSON.stringify([of.location, of.dataset, of.identity]))
    const path = join(folder, `${of.dataset}-${name.digest('hex').slice(0, 16)}.ndjson`)
    const ledger = new Ledger(path, of)
    try {
      await ledger.#read()
    } catch (error) {
      ledger.#records.clear()
      ledger.#listed = 0
      if (systemCodeOf(error) === 'ENOENT') return ledger
      // What the system refuses says nothing about the file.
      if (error instanceof Error && 'syscall' in error) throw error
      const aside = `${path}.unreadable-${randomBytes(4).toString('hex')}`
      await rename(path, aside)
      ledger.note = `the ledger could not be read and was moved to ${aside}; all parts count as not proved yet`
    }
    return ledger
  }

  get size(): number {
    return this.#records.size
  }

  get(id: string): PartRecord {
    return this.#records.get(id) ?? FRESH
  }

  /** The listed problems with the parts they belong to. */
  *problems(): Generator<{ readonly part: string; readonly problem: KnownProblem }> {
    for (const [part, { problems }] of this.#records) {
      for (const problem of problems) yield { part, problem }
    }
  }

  /** The parts with more problems than are listed. */
  *overfull(): Generator<string> {
    for (const [part, { unlisted }] of this.#records) if (unlisted > 0) yield part
  }

  /** Remembers that there is such a part, and what lasts about it. */
  learn(id: string, facts: Pick<PartRecord, 'next' | 'canonical'> = {}): void {
    this.#records.set(id, { ...this.get(id), ...facts })
  }

  /** All of the part was looked at. */
  proved(id: string, now: number, { problems, count, blocks, bytes }: Findings): void {
    this.#set(id, { ...this.get(id), proved: now, blocks, bytes }, problems, count, now)
  }

  /** Only some of the part was looked at: what it found is added to what is known. */
  noted(id: string, now: number, { problems }: Findings): void {
    const before = this.get(id)
    const fresh = new Set(problems.map(keyOf))
    const other = before.problems.filter((one) => !fresh.has(keyOf(one)))
    const all = [...other, ...problems]
    this.#set(id, before, all, all.length + before.unlisted, now, fresh)
  }

  #set(
    id: string,
    record: PartRecord,
    problems: readonly Problem[],
    count: number,
    now: number,
    fresh?: ReadonlySet<string>,
  ): void {
    const before = this.get(id).problems
    this.#listed -= before.length
    const known = new Map(before.map((one) => [keyOf(one), one]))
    const room = Math.max(0, MOST_LISTED - this.#listed)
    const listed = problems.slice(0, room).map((one): KnownProblem => {
      const { firstSeen = now, lastSeen = now } = known.get(keyOf(one)) ?? {}
      const { cid, kind, state, code, message } = one
      const seenNow = fresh === undefined || fresh.has(keyOf(one))
      return { cid, kind, state, code, message, firstSeen, lastSeen: seenNow ? now : lastSeen }
    })
    this.#listed += listed.length
    this.#records.set(id, { ...record, problems: listed, unlisted: count - listed.length })
  }

  /** Forgets parts that are none any more. */
  keepOnly(isPart: (id: string) => boolean): void {
    for (const [id, { problems }] of this.#records) {
      if (isPart(id)) continue
      this.#listed -= problems.length
      this.#records.delete(id)
    }
  }

  async save(): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 })
    const temporary = `${this.path}.${randomBytes(6).toString('hex')}.new`
    await replaceFile(this.path, temporary, (file) => this.#write(file))
  }

  async #write(file: FileHandle): Promise<void> {
    let text = `${JSON.stringify({ format: FORMAT, ...this.#of })}\n`
    for (const [id, record] of this.#records) {
      text += `${JSON.stringify({ id, ...record })}\n`
      if (text.length < WRITE_CHARS) continue
      await file.writeFile(text)
      text = ''
    }
    await file.writeFile(text)
  }

  async #read(): Promise<void> {
    const stream = createReadStream(this.path, 'utf8')
    let first = true
    try {
      for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
        const value: unknown = JSON.parse(line)
        if (!isObject(value)) throw new TypeError('no record')
        if (first) checkHead(value, this.#of)
        else this.#load(value)
        first = false
      }
    } finally {
      stream.destroy()
    }
    if (first) throw new TypeError('it is empty')
  }

  #load(value: Readonly<Record<string, unknown>>): void {
    const { id, proved, blocks, bytes, problems, unlisted, next, canonical } = value
    if (typeof id !== 'string' || !Array.isArray(problems)) throw new TypeError('no part')
    const record: PartRecord = {
      proved: proved === null ? null : whole(proved),
      blocks: whole(blocks),
      bytes: whole(bytes),
      problems: problems.map(problemOfRecord),
      unlisted: whole(unlisted),
      ...(next === undefined ? {} : { next: nextOf(next) }),
      ...(canonical === true ? { canonical } : {}),
    }
    this.#listed += record.problems.length
    this.#records.set(id, record)
  }
}

const keyOf = ({ cid, state }: Problem): string => `${state} ${cid}`

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function checkHead(value: Readonly<Record<string, unknown>>, of: LedgerOf): void {
  const same = value['location'] === of.location && value['identity'] === of.identity
  if (value['format'] !== FORMAT || !same) throw new TypeError('another ledger')
}

function whole(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new TypeError('no count')
}

function nextOf(value: unknown): NextStretch {
  if (!isObject(value)) throw new TypeError('no next stretch')
  const { cid, at } = value
  if (cid !== null && typeof cid !== 'string') throw new TypeError('no CID')
  return { cid, at: whole(at) }
}

function problemOfRecord(value: unknown): KnownProblem {
  if (!isObject(value)) throw new TypeError('no problem')
  const { cid, kind, code, message, firstSeen, lastSeen } = value
  const state = FOUND_STATES.find((one) => one === value['state'])
  const texts = [kind, code, message].every((one) => typeof one === 'string')
  if (state === undefined || !texts || (cid !== null && typeof cid !== 'string'))
    throw new TypeError('no problem')
  const fields = { cid, kind, code, message } as Omit<Problem, 'state'>
  return { ...fields, state, firstSeen: whole(firstSeen), lastSeen: whole(lastSeen) }
}

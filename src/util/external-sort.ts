/**
 * Sorting more than fits in memory. Records are collected up to a limit, sorted, and spilled to a
 * file; files are merged as they become many, and at the end. The sort is stable: records with equal keys keep the order
 * in which they came.
 */
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CairnError } from '../errors.ts'
import { tempFailure } from './temp-failure.ts'

export interface SortRecord {
  /** One char per byte, see entity-id.ts. */
  readonly key: string
  readonly payload: Buffer
}

export interface ExternalSortOptions {
  /** Records are spilled when they take this much; 32 MiB unless given. */
  readonly memoryBytes?: number | undefined
  /** The folder for the files; the system's unless given. */
  readonly tempDir?: string | undefined
}

/** What a record takes in memory beyond its payload. */
const RECORD_OVERHEAD = 120
const READ_BYTES = 64 * 1024
const WRITE_BYTES = 256 * 1024
/** So many runs of one size become one: it bounds the open files and the memory of the merge. */
const FAN_IN = 64
const LENGTHS = 8
const BATCH = 1024

/** A sorted file. Its level says how often its records have been merged. */
interface SpilledRun {
  readonly file: FileHandle
  readonly level: number
}

export class ExternalSort {
  readonly #memoryBytes: number
  readonly #tempDir: string
  #folder: string | undefined
  /** In the order in which their records came; the levels never rise from one to the next. */
  readonly #runs: SpilledRun[] = []
  readonly #open = new Set<FileHandle>()
  #spills = 0
  #records: SortRecord[] = []
  #bytes = 0

  constructor(options: ExternalSortOptions = {}) {
    this.#memoryBytes = options.memoryBytes ?? 32 << 20
    this.#tempDir = options.tempDir ?? tmpdir()
  }

  async add(record: SortRecord): Promise<void> {
    this.#records.push(record)
    this.#bytes += record.payload.length + record.key.length + RECORD_OVERHEAD
    if (this.#bytes > this.#memoryBytes) await this.#spill()
  }

  async #spill(): Promise<void> {
    await this.#write(batchesOf(this.#takeSorted()), 0)
    for (let level = 0; ; level++) {
      const same = this.#runs.filter((run) => run.level === level)
      if (same.length < FAN_IN) return
      this.#runs.splice(-FAN_IN)
      await this.#write(mergeRuns(same.map(({ file }) => new RunReader(file))), level + 1)
      for (const { file } of same) {
        this.#open.delete(file)
        await file.close()
      }
    }
  }

  async #write(
    batches: AsyncIterable<SortRecord[]> | Iterable<SortRecord[]>,
    level: number,
  ): Promise<void> {
    try {
      const file = await this.#create()
      let parts: Buffer[] = []
      let size = 0
      const flush = async (): Promise<void> => {
        // Unlike `writev`, it writes all of it or fails.
        await file.writeFile(Buffer.concat(parts))
        parts = []
        size = 0
      }
      for await (const batch of batches) {
        for (const record of batch) {
          const part = encodeRecord(record)
          parts.push(part)
          size += part.length
          if (size >= WRITE_BYTES) await flush()
        }
      }
      await flush()
      this.#runs.push({ file, level })
    } catch (error) {
      throw tempFailure(error, this.#tempDir)
    }
  }

  async #create(): Promise<FileHandle> {
    this.#folder ??= await mkdtemp(join(this.#tempDir, 'cairn-sort-'))
    const path = join(this.#folder, `run-${this.#spills}`)
    this.#spills += 1
    const file = await open(path, 'wx+', 0o600)
    this.#open.add(file)
    // Open, but without a name: nothing is left of it when this process dies.
    await rm(path, { force: true }).catch(() => {})
    return file
  }

  #takeSorted(): SortRecord[] {
    const records = this.#records.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    this.#records = []
    this.#bytes = 0
    return records
  }

  /** All records in order, in batches. Call it once. */
  async *sorted(): AsyncGenerator<SortRecord[]> {
    if (this.#runs.length === 0) {
      yield* batchesOf(this.#takeSorted())
      return
    }
    if (this.#records.length > 0) await this.#spill()
    yield* mergeRuns(this.#runs.map(({ file }) => new RunReader(file)))
  }

  /** Removes the files, whether or not the sort came to its end. */
  async dispose(): Promise<void> {
    const files = [...this.#open]
    this.#open.clear()
    this.#runs.length = 0
    this.#records = []
    await Promise.allSettled(files.map((file) => file.close()))
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }
}

function* batchesOf(records: readonly SortRecord[]): Generator<SortRecord[]> {
  for (let from = 0; from < records.length; from += BATCH) yield records.slice(from, from + BATCH)
}

function encodeRecord({ key, payload }: SortRecord): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTHS + key.length + payload.length)
  bytes.writeUInt32LE(key.length, 0)
  bytes.writeUInt32LE(payload.length, 4)
  bytes.write(key, LENGTHS, 'latin1')
  payload.copy(bytes, LENGTHS + key.length)
  return bytes
}

/** Reads a spilled run record by record; `fill` brings in more when `head` runs out of bytes. */
class RunReader {
  head: SortRecord | undefined
  readonly #file: FileHandle
  #position = 0
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #ended = false

  constructor(file: FileHandle) {
    this.#file = file
  }

  /** Goes to the next record if it is in memory; false when `fill` must be awaited first. */
  advance(): boolean {
    const { length } = this.#bytes
    if (this.#at + LENGTHS > length) return this.#out()
    const keyLength = this.#bytes.readUInt32LE(this.#at)
    const payloadLength = this.#bytes.readUInt32LE(this.#at + 4)
    const payloadAt = this.#at + LENGTHS + keyLength
    const end = payloadAt + payloadLength
    if (end > length) return this.#out()
    const key = this.#bytes.toString('latin1', this.#at + LENGTHS, payloadAt)
    this.head = { key, payload: this.#bytes.subarray(payloadAt, end) }
    this.#at = end
    return true
  }

  #out(): boolean {
    this.head = undefined
    if (this.#ended && this.#at < this.#bytes.length) {
      throw new CairnError('internal', 'A temporary file of a sort ends within a record.')
    }
    return this.#ended
  }

  async fill(): Promise<void> {
    do {
      const rest = this.#bytes.subarray(this.#at)
      const bytes = Buffer.allocUnsafe(rest.length + READ_BYTES)
      rest.copy(bytes)
      const { bytesRead } = await this.#file.read(bytes, rest.length, READ_BYTES, this.#position)
      this.#position += bytesRead
      this.#ended = bytesRead === 0
      this.#bytes = bytes.subarray(0, rest.length + bytesRead)
      this.#at = 0
    } while (!this.advance())
  }
}

/** Takes the least head again and again; on a tie the earlier run's, which keeps the order of arrival. */
async function* mergeRuns(runs: readonly RunReader[]): AsyncGenerator<SortRecord[]> {
  for (const run of runs) await run.fill()
  const heap = new RunHeap(runs.filter((run) => run.head !== undefined))
  let batch: SortRecord[] = []
  for (let run = heap.top; run !== undefined; run = heap.top) {
    if (run.head !== undefined) batch.push(run.head)
    if (!run.advance()) await run.fill()
    heap.settleTop()
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

class RunHeap {
  readonly #runs: { readonly run: RunReader; readonly order: number }[]

  constructor(runs: readonly RunReader[]) {
    this.#runs = runs.map((run, order) => ({ run, order }))
    for (let i = (this.#runs.length >> 1) - 1; i >= 0; i--) this.#sink(i)
  }

  get top(): RunReader | undefined {
    return this.#runs[0]?.run
  }

  /** After the top run moved on: puts it in its place, or takes it out when it has ended. */
  settleTop(): void {
    if (this.#runs[0]?.run.head === undefined) {
      const last = this.#runs.pop()
      if (last !== undefined && this.#runs.length > 0) this.#runs[0] = last
    }
    this.#sink(0)
  }

  #sink(from: number): void {
    const runs = this.#runs
    for (let at = from; ;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < runs.length && this.#before(child, least)) least = child
      }
      if (least === at) return
      const swapped = runs[at]
      const other = runs[least]
      if (swapped === undefined || other === undefined) return
      runs[at] = other
      runs[least] = swapped
      at = least
    }
  }

  #before(a: number, b: number): boolean {
    const one = this.#runs[a]
    const two = this.#runs[b]
    if (one?.run.head === undefined || two?.run.head === undefined) return false
    if (one.run.head.key !== two.run.head.key) return one.run.head.key < two.run.head.key
    return one.order < two.order
  }
}

/**
 * Sorting more than fits in memory. Records are collected up to a limit, sorted, and spilled to a
 * file; at the end the files are merged. The sort is stable: records with equal keys keep the order
 * in which they came.
 */
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

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
const READ_BYTES = 256 * 1024
const LENGTHS = 8

export class ExternalSort {
  readonly #memoryBytes: number
  readonly #tempDir: string
  #folder: string | undefined
  readonly #files: FileHandle[] = []
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
    this.#folder ??= await mkdtemp(join(this.#tempDir, 'cairn-sort-'))
    const file = await open(join(this.#folder, `run-${this.#files.length}`), 'wx+', 0o600)
    this.#files.push(file)
    let parts: Buffer[] = []
    let size = 0
    for (const record of this.#takeSorted()) {
      const part = encodeRecord(record)
      parts.push(part)
      size += part.length
      if (size < READ_BYTES) continue
      await file.writev(parts)
      parts = []
      size = 0
    }
    if (parts.length > 0) await file.writev(parts)
  }

  #takeSorted(): SortRecord[] {
    const records = this.#records.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    this.#records = []
    this.#bytes = 0
    return records
  }

  /** All records in order, in batches. Call it once. */
  async *sorted(): AsyncGenerator<SortRecord[]> {
    if (this.#files.length === 0) {
      yield this.#takeSorted()
      return
    }
    if (this.#records.length > 0) await this.#spill()
    const runs = this.#files.map((file) => new RunReader(file))
    for (const run of runs) await run.fill()
    yield* mergeRuns(runs.filter((run) => run.head !== undefined))
  }

  /** Removes the files, whether or not the sort came to its end. */
  async dispose(): Promise<void> {
    for (const file of this.#files.splice(0)) await file.close()
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }
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

const BATCH = 1024

/** Takes the least head again and again; on a tie the earlier run's, which keeps the order of arrival. */
async function* mergeRuns(runs: RunReader[]): AsyncGenerator<SortRecord[]> {
  const heap = new RunHeap(runs)
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

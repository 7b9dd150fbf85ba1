/**
 * The writer of live maps: gathers what was set, and commits it in groups, one after another in the order in
 * which it was asked for. A group of writes is committed as a whole; groups may share a commit.
 *
 * A group with durability `commit` is told when it is durable, or that it failed; then it is as if it had
 * never been asked for. One with `interval` counts as written at once: it is committed within half of its
 * window if the store keeps up, is tried again until it is, and never given up. Whoever asks while the
 * oldest of these has waited for longer than its window waits with it: so nobody who is let go on is further
 * ahead of the store than that. Of one entity that is set again and again meanwhile, only the last is written,
 * in the place of the first: where that is one commit and what was asked for between is in a later one, a crash may
 * leave the later value without what came before it. To write each in its place would be many times the work.
 *
 * A group with a value that nothing can encode would fail at every try: it fails alone, whatever its durability.
 */
import { plainBlock } from '../content/encode.ts'
import { encodeSmall } from '../engine/content-stager.ts'
import type { Dataset } from '../engine/dataset.ts'
import type { ImportEntry } from '../engine/import-entry.ts'
import { CairnError, toCairnError } from '../errors.ts'
import type { LiveValue } from './value.ts'
import { PATIENCE_MS } from './when-free.ts'

export interface Write {
  readonly id: string
  /** Undefined: a deletion. */
  readonly value: LiveValue
  /** The value's bytes, where they are at hand: then `value` is not asked for. */
  readonly encoded?: Uint8Array | undefined
  /** Milliseconds since 1970; null: never. */
  readonly exp: number | null
  /** It is durable; in the log it has this position, or one that no other program has had since. */
  written(position: number): void
  /** It will not be written. */
  failed(): void
}

export interface GroupOptions {
  /** Milliseconds; undefined: durability `commit`. */
  readonly windowMs?: number | undefined
  /** Goes before the writes, in their commit. */
  readonly lead?: Write | undefined
}

interface Group {
  writes: readonly Write[]
  readonly windowMs: number | undefined
  /** By `performance.now()`. */
  readonly since: number
  readonly done: () => void
  readonly fail: (error: CairnError) => void
  readonly settled: Promise<void>
}

export interface WriterOptions {
  readonly dataset: Dataset
  /** How many writes an append may have; more are loaded in bulk. */
  readonly limit: () => Promise<number>
  /** Told of each try that failed, and with undefined when it goes on. */
  readonly onTrouble: (error: CairnError | undefined) => void
}

/** Groups share a commit up to so many writes. */
const SHARED = 1000
/** Encoding goes on for so long before others get their turn. */
const SLICE_MS = 4
const RETRY_MS = 500
const MAX_RETRY_MS = 30_000

export class LiveWriter {
  readonly #options: WriterOptions
  #groups: Group[] = []
  /** By id, the group of one write, and its lead, that counts as written and that no commit under way has taken. */
  readonly #amendable = new Map<string, Group>()
  readonly #flushing = new Set<(error: CairnError) => void>()
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  #failures = 0
  #stopped: CairnError | undefined

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /** Since when, by `performance.now()`, something waits that counts as written. */
  get behindSince(): number | undefined {
    return this.#groups.find(({ windowMs }) => windowMs !== undefined)?.since
  }

  /** Something waits to be committed. */
  get isBusy(): boolean {
    return this.#groups.length > 0
  }

  write(writes: readonly Write[], { windowMs, lead }: GroupOptions = {}): Promise<void> {
    if (this.#stopped !== undefined) {
      for (const write of writes) write.failed()
      return Promise.reject(this.#stopped)
    }
    if (writes.length === 0) return Promise.resolve()
    const [only] = writes
    const amended = writes.length === 1 && this.#amendable.get(only?.id ?? '')
    if (windowMs !== undefined && amended && lead === undefined) {
      amended.writes = [...amended.writes.slice(0, -1), ...writes]
      return this.#unlessBehind(amended, windowMs)
    }
    const group = newGroup(lead === undefined ? writes : [lead, ...writes], windowMs)
    this.#groups.push(group)
    // What came before is written before.
    for (const { id } of writes) this.#amendable.delete(id)
    if (windowMs === undefined) {
      this.#runSoon(0)
      return group.settled
    }
    if (writes.length === 1 && only !== undefined) this.#amendable.set(only.id, group)
    this.#runSoon(windowMs / 2)
    return this.#unlessBehind(group, windowMs)
  }

  #unlessBehind(group: Group, windowMs: number): Promise<void> {
    const waits = performance.now() - (this.behindSince ?? Infinity)
    return waits > windowMs ? group.settled : Promise.resolve()
  }

  /** Until everything that was asked for before is durable; rejects where that fails now. */
  async flush(): Promise<void> {
    const waiting = [...this.#groups]
    if (waiting.length === 0) return
    this.#failures = 0
    this.#runSoon(0)
    const failed = new Promise<never>((_, reject) => this.#flushing.add(reject))
    await Promise.race([Promise.all(waiting.map(({ settled }) => settled)), failed])
  }

  /** Nothing more is written; what waits is lost with the process. */
  async stop(): Promise<void> {
    this.#stopped = new CairnError('closed', 'The store was closed before this was written.', {
      hint: 'Write before closing, and look at what `close` rejects with.',
    })
    clearTimeout(this.#timer)
    await this.#running
    const [groups, error] = [this.#groups.splice(0), this.#stopped]
    for (const group of groups) giveUp(group, error)
  }

  #runSoon(ms: number): void {
    if (
      this.#stopped !== undefined ||
      this.#running !== undefined ||
      performance.now() + ms >= this.#timerAt
    )
      return
    clearTimeout(this.#timer)
    this.#timerAt = performance.now() + ms
    // Keeps the process alive: what counts as written is to be written.
    if (ms === 0) setImmediate(() => this.#run())
    else this.#timer = setTimeout(() => this.#run(), ms)
  }

  #run(): void {
    clearTimeout(this.#timer)
    this.#timerAt = Infinity
    this.#running ??= this.#commitAll().finally(() => {
      this.#running = undefined
      if (this.#groups.length > 0) this.#runSoon(this.#pause())
    })
  }

  #pause(): number {
    if (this.#failures === 0) return 0
    return Math.min(RETRY_MS * 2 ** (this.#failures - 1), MAX_RETRY_MS)
  }

  async #commitAll(): Promise<void> {
    while (this.#groups.length > 0 && this.#stopped === undefined) {
      let groups: readonly Group[] = []
      try {
        const limit = await this.#options.limit()
        groups = this.#nextGroups(Math.min(limit, SHARED))
        for (const { writes } of groups) for (const { id } of writes) this.#amendable.delete(id)
        const encoded = await this.#encode(groups)
        if (encoded.length === 0) continue
        groups = encoded.map(({ group }) => group)
        const entries = encoded.flatMap((one) => one.entries)
        const positions = await this.#commit(entries, limit)
        this.#groups.splice(0, groups.length)
        this.#succeeded(groups, positions)
      } catch (error) {
        this.#failed(groups.length > 0 ? groups : this.#groups, toCairnError(error))
        return
      }
    }
  }

  /** From the oldest on, as many as share a commit; one that is larger alone. */
  #nextGroups(shared: number): readonly Group[] {
    let count = 0
    const end = this.#groups.findIndex(
      ({ writes }, i) => (count += writes.length) > shared && i > 0,
    )
    return this.#groups.slice(0, end < 0 ? this.#groups.length : end)
  }

  /** Lets those fail that cannot be encoded, and gives the others. */
  async #encode(groups: readonly Group[]): Promise<readonly Encoded[]> {
    const encoded = await encodeAll(groups)
    return encoded.filter(({ group, error }) => {
      if (error !== undefined) this.#refuse(group, error)
      return error === undefined
    })
  }

  /** Nobody may be waiting for it, so it is told as trouble, too. */
  #refuse(group: Group, error: CairnError): void {
    this.#failures += 1
    this.#options.onTrouble(error)
    this.#groups = this.#groups.filter((one) => one !== group)
    giveUp(group, error)
  }

  /** Gives the position of each. */
  async #commit(entries: readonly ImportEntry[], limit: number): Promise<readonly number[]> {
    const { dataset } = this.#options
    if (entries.length <= limit) {
      const written = await dataset.appendBatch(entries)
      return written.map(({ position }) => position ?? 0)
    }
    const { next } = await dataset.bulkLoad(entries)
    return entries.map(() => next - 1)
  }

  #succeeded(groups: readonly Group[], positions: readonly number[]): void {
    if (this.#failures > 0) this.#options.onTrouble(undefined)
    this.#failures = 0
    let at = 0
    for (const group of groups) {
      for (const write of group.writes) write.written(positions[at++] ?? 0)
      group.done()
    }
    if (this.#groups.length === 0) this.#flushing.clear()
  }

  #failed(groups: readonly Group[], error: CairnError): void {
    this.#failures += 1
    this.#options.onTrouble(error)
    if (error.code === 'busy' && !isTiredOf(groups)) {
      this.#failures = Math.min(this.#failures, 2)
      return
    }
    const lost = new Set(groups.filter(({ windowMs }) => windowMs === undefined))
    this.#groups = this.#groups.filter((group) => !lost.has(group))
    for (const group of lost) giveUp(group, error)
    for (const reject of this.#flushing) reject(error)
    this.#flushing.clear()
  }
}

/** A dataset that is reserved is waited for, but not without end. */
const isTiredOf = (groups: readonly Group[]): boolean =>
  groups.some(({ since }) => performance.now() - since > PATIENCE_MS)

function newGroup(writes: readonly Write[], windowMs: number | undefined): Group {
  let done = (): void => {}
  let fail: Group['fail'] = () => {}
  const settled = new Promise<void>((resolve, reject) => {
    done = resolve
    fail = reject
  })
  // Of those that count as written nobody may wait.
  settled.catch(() => {})
  return { writes, windowMs, since: performance.now(), done, fail, settled }
}

function giveUp({ writes, fail }: Group, error: CairnError): void {
  for (const write of writes) write.failed()
  fail(error)
}

interface Encoded {
  readonly group: Group
  readonly entries: ImportEntry[]
  /** Why it has no entries. */
  error?: CairnError
}

async function encodeAll(groups: readonly Group[]): Promise<readonly Encoded[]> {
  const encoded: Encoded[] = []
  const turns = new Turns()
  for (const group of groups) {
    const one: Encoded = { group, entries: [] }
    encoded.push(one)
    try {
      for (const write of group.writes) {
        one.entries.push(entryOf(write))
        if (turns.isDue) await turns.give()
      }
    } catch (error) {
      one.error = toCairnError(error)
    }
  }
  return encoded
}

/** Others get theirs after so long. */
class Turns {
  #began = performance.now()

  get isDue(): boolean {
    return performance.now() - this.#began >= SLICE_MS
  }

  async give(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    this.#began = performance.now()
  }
}

function entryOf(write: Write): ImportEntry {
  const { id: pi, encoded, exp } = write
  if (encoded !== undefined) return { pi, block: plainBlock(encoded), exp }
  const { value } = write
  if (value === undefined) return { pi, tip: null }
  const block = encodeSmall(value)
  return block === undefined ? { pi, value, exp } : { pi, block, exp }
}

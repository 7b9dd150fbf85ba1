/**
 * All that the old data says, as candidates sorted by entity outside memory: `.tip` files, what came
 * since the snapshot, the snapshot, and before it older snapshots and events, since some of the old
 * builders dropped entities that an older snapshot still has.
 */
import { cidKey, type CidBytes } from '../model/cid.ts'
import type { LongOptions } from '../engine/context.ts'
import type { ExternalSort } from '../util/external-sort.ts'
import { encodeCandidate, type Candidate, type Origin } from './candidate.ts'
import { isChainRecord, prevOf, walkChain } from './chain.ts'
import { readOldEntry, type OldEntry } from './entry.ts'
import type { FindingSink } from './report.ts'
import { describeSnapshot, readSnapshot, snapshotEntries, type OldSnapshot } from './snapshot.ts'
import { readBlocks, readRecord, recordOf, type OldSource } from './source.ts'
import type { Start } from './start.ts'
import { INDEX, TEST_INDEX, tipFiles } from './tips.ts'

export interface Collected {
  readonly snapshot: OldSnapshot | undefined
  /** Entries and files that were read. */
  readonly read: number
}

export interface CollectOptions extends LongOptions {
  /** Also read older snapshots and events. */
  readonly history: boolean
}

/** Hourly snapshots repeat each other: so many entries that were met are not sorted again. */
const REMEMBERED = 250_000

export class Collector {
  readonly #source: OldSource
  readonly #findings: FindingSink
  readonly #sort: ExternalSort
  readonly #options: CollectOptions
  readonly #met = new Set<string>()
  #read = 0

  constructor(
    source: OldSource,
    findings: FindingSink,
    sort: ExternalSort,
    options: CollectOptions,
  ) {
    this.#source = source
    this.#findings = findings
    this.#sort = sort
    this.#options = options
  }

  async collect(start: Start): Promise<Collected> {
    const { signal, history } = this.#options
    const tips = start.tips ? await this.#tips() : 0
    const snapshot =
      start.snapshot === undefined
        ? undefined
        : await readSnapshot(this.#source, start.snapshot, signal)
    const folded =
      snapshot === undefined ? undefined : (start.pointer?.foldedHead ?? snapshot.event)
    // With .tip files, a gap hides nothing that is current.
    await this.#chain(start.head, folded, 'recent', tips > 0 ? 'missing_event' : 'missing_recent')
    if (snapshot !== undefined) await this.#snapshot(snapshot)
    if (history) {
      await this.#chain(folded ?? snapshot?.event, undefined, 'history', 'missing_event')
      await this.#olderSnapshots(snapshot?.prev)
    }
    return { snapshot, read: this.#read }
  }

  async #tips(): Promise<number> {
    const { files } = this.#source
    if (files === undefined) return 0
    let found = 0
    for (const index of [INDEX, TEST_INDEX]) {
      for await (const batch of tipFiles(files, index, this.#findings, this.#options.signal)) {
        found += batch.length
        for (const { key, tip } of batch) {
          const test = index === TEST_INDEX || isTestId(key)
          await this.#add(key, { origin: 'tip file', ver: undefined, ts: undefined, tip, test })
        }
      }
    }
    return found
  }

  async #chain(
    head: CidBytes | undefined,
    until: CidBytes | undefined,
    origin: Origin,
    kind: 'missing_recent' | 'missing_event',
  ): Promise<void> {
    for await (const step of walkChain(this.#source, head, until, this.#options.signal)) {
      if ('gap' in step) {
        const detail = `${step.gap.why}; what is older is named by it alone`
        await this.#findings.add(kind, { cid: step.gap.cid, detail })
      } else if ('entry' in step.read) {
        await this.#addEntry(step.read.entry, origin)
      } else {
        const { kind: bad, pi, why } = step.read.bad
        await this.#findings.add(bad, { cid: step.cid, pi, detail: why })
      }
    }
  }

  async #snapshot(snapshot: OldSnapshot): Promise<void> {
    const { signal, history } = this.#options
    let count = 0
    for await (const batch of snapshotEntries(this.#source, snapshot, this.#findings, signal)) {
      count += batch.length
      for (const entry of batch) await this.#addEntry(entry, 'snapshot')
      if (history) await this.#checkEvents(batch)
    }
    const { totalCount } = snapshot
    if (totalCount !== undefined && totalCount !== count) {
      const detail = `the snapshot says ${totalCount} entries and has ${count}`
      await this.#findings.add('count_differs', { cid: snapshot.cid, detail })
    }
  }

  /** The events that entries name, and those before them, as far as they are there to tell. */
  async #checkEvents(entries: readonly OldEntry[]): Promise<void> {
    const { signal } = this.#options
    const cids = entries.flatMap(({ chain }) => (chain === undefined ? [] : [chain]))
    const before: CidBytes[] = []
    for (const [i, read] of (await readBlocks(this.#source, cids, signal)).entries()) {
      const cid = cids[i]
      if (cid === undefined) continue
      if ('problem' in read)
        await this.#findings.add('missing_event', { cid, detail: read.problem })
      const record = 'problem' in read ? read : recordOf(cid, read.bytes)
      if (!('map' in record) || !isChainRecord(record.map)) continue
      const event = readOldEntry(record.map)
      if ('entry' in event) await this.#addEntry(event.entry, 'history')
      const prev = prevOf(record.map)
      if (prev !== undefined && 'cid' in prev) before.push(prev.cid)
    }
    const there = await this.#source.blocks.hasBlocks(before, { signal })
    for (const [i, cid] of before.entries()) {
      if (there[i] !== true) await this.#findings.add('missing_event', { cid, detail: 'missing' })
    }
  }

  async #olderSnapshots(newest: CidBytes | undefined): Promise<void> {
    const { signal } = this.#options
    for (let cid = newest; cid !== undefined;) {
      const read = await readRecord(this.#source, cid, signal)
      const older = 'map' in read ? describeSnapshot(cid, read.map) : undefined
      if (older === undefined) {
        const detail = 'problem' in read ? read.problem : 'unreadable'
        await this.#findings.add('missing_history', { cid, detail })
        return
      }
      for await (const batch of this.#historyOf(older)) {
        for (const entry of batch) await this.#addEntry(entry, 'history')
      }
      cid = older.prev
    }
  }

  /** What cannot be read of an older snapshot hides nothing that is current, so it stops nothing. */
  async *#historyOf(older: OldSnapshot): AsyncGenerator<OldEntry[]> {
    const asHistory: FindingSink = {
      add: (_, { cid, detail }) =>
        this.#findings.add('missing_history', { cid: cid ?? older.cid, detail }),
    }
    yield* snapshotEntries(this.#source, older, asHistory, this.#options.signal)
  }

  #addEntry({ key, ver, tip, ts }: OldEntry, origin: Origin): Promise<void> {
    return this.#add(key, { origin, ver, ts, tip, test: isTestId(key) })
  }

  async #add(key: string, candidate: Candidate): Promise<void> {
    this.#read += 1
    if (this.#read % 1000 === 0) this.#options.onProgress?.({ step: 'read', done: this.#read })
    const { ver, ts, tip } = candidate
    const what = `${key}\0${ver}\0${ts}\0${tip === undefined ? '' : cidKey(tip)}`
    if (this.#met.has(what)) return
    if (this.#met.size < REMEMBERED) this.#met.add(what)
    await this.#sort.add({ key, payload: encodeCandidate(candidate) })
  }
}

/** Ids of the old test network; no ULID begins so. */
const isTestId = (key: string): boolean => key.startsWith('II')

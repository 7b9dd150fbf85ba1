/** Each entity's true state, in the order of ids, with what lies under its tip. */
import { throwIfAborted } from '../errors.ts'
import type { LongOptions } from '../engine/context.ts'
import { cidKey, type CidBytes } from '../model/cid.ts'
import { idOfKey } from '../model/entity-id.ts'
import type { ExternalSort } from '../util/external-sort.ts'
import { decodeCandidate } from './candidate.ts'
import { TIPS_AT_ONCE, type ContentWalk } from './content.ts'
import { manifestFacts, type ManifestFacts } from './manifest.ts'
import type { FindingSink } from './report.ts'
import { readRecord, type OldSource } from './source.ts'
import type { Spool } from './spool.ts'
import { Tally, type Truth } from './truth.ts'

export interface JudgeAllOptions {
  readonly source: OldSource
  readonly candidates: ExternalSort
  readonly findings: FindingSink
  readonly walk: ContentWalk
  readonly main: Spool
  readonly test: Spool
  /** The time of entries that have none. */
  readonly fallbackTs: number
  readonly options: LongOptions
}

export async function judgeAll(all: JudgeAllOptions): Promise<void> {
  const { signal, onProgress } = all.options
  let done = 0
  let waiting: Tally[] = []
  const settle = async (): Promise<void> => {
    throwIfAborted(signal)
    const tallies = waiting
    waiting = []
    // One after another into the spools, which keep the order of arrival anyway.
    const settled = await Promise.all(tallies.map((tally) => settleOne(all, tally)))
    for (const add of settled) await add()
    done += tallies.length
    onProgress?.({ step: 'look', done })
  }
  for await (const tally of tallies(all.candidates)) {
    waiting.push(tally)
    if (waiting.length >= TIPS_AT_ONCE) await settle()
  }
  await settle()
}

async function* tallies(candidates: ExternalSort): AsyncGenerator<Tally> {
  let tally: Tally | undefined
  for await (const batch of candidates.sorted()) {
    for (const { key, payload } of batch) {
      if (tally !== undefined && tally.key !== key) {
        yield tally
        tally = undefined
      }
      tally ??= new Tally(key)
      tally.add(decodeCandidate(payload))
    }
  }
  if (tally !== undefined) yield tally
}

/** Judges one entity and looks under its tip; what it returns puts it into its spool. */
async function settleOne(all: JudgeAllOptions, tally: Tally): Promise<() => Promise<void>> {
  const { findings, walk } = all
  const pi = idOfKey(tally.key)
  const manifests = await readManifests(all, tally.wanted)
  const { truth, remarks } = tally.finish((tip) => manifests.get(cidKey(tip)))
  for (const { kind, cid, detail } of remarks) await findings.add(kind, { pi, cid, detail })
  if (truth === undefined) return () => Promise.resolve()
  const content = await walk.walk(truth)
  const ts = truth.ts ?? (await assumedTime(all, truth))
  return () => (truth.test ? all.test : all.main).add(truth, ts, content)
}

async function readManifests(
  { source, options }: JudgeAllOptions,
  tips: readonly CidBytes[],
): Promise<Map<string, ManifestFacts>> {
  const facts = new Map<string, ManifestFacts>()
  for (const tip of tips) {
    const read = await readRecord(source, tip, options.signal)
    if ('map' in read) facts.set(cidKey(tip), manifestFacts(read.map))
  }
  return facts
}

async function assumedTime(
  { findings, fallbackTs }: JudgeAllOptions,
  truth: Truth,
): Promise<number> {
  await findings.add('time_assumed', {
    pi: idOfKey(truth.key),
    detail: new Date(fallbackTs).toISOString(),
  })
  return fallbackTs
}

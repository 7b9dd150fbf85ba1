/**
 * Bringing the data of the old system into Cairn.
 *
 *   1 find where to begin, and collect all that the old data says, sorted by entity
 *   2 judge each entity, look under its newest tip, and stage what is there
 *   3 stop if something is missing, unless told otherwise; nothing was committed so far
 *   4 load each dataset in one commit
 *
 * Dying before 4 leaves staged blocks that no commit names. Between the datasets of 4 it leaves the first
 * one loaded; the import made again finds it so.
 */
import { CairnError } from '../errors.ts'
import type { Cairn } from '../cairn.ts'
import type { LongOptions } from '../engine/context.ts'
import { ContentStager } from '../engine/content-stager.ts'
import type { InitOptions } from '../engine/genesis.ts'
import type { CidBytes } from '../model/cid.ts'
import type { ContentMode } from '../model/entry.ts'
import type { Backend } from '../store/backend.ts'
import { ExternalSort } from '../util/external-sort.ts'
import { Collector } from './collect.ts'
import { ContentWalk, type ContentTarget } from './content.ts'
import { judgeAll } from './judge-all.ts'
import { loadDataset, type Loaded } from './load.ts'
import { Findings, type Finding, type FindingGroup } from './report.ts'
import type { OldSnapshot } from './snapshot.ts'
import type { OldSource } from './source.ts'
import { Spool } from './spool.ts'
import { findStart, type Start } from './start.ts'

export interface Target {
  readonly cairn: Cairn
  /** The one that `cairn` works on. */
  readonly backend: Backend
}

export interface ArkeOptions extends LongOptions {
  /** The path in MFS; the usual ones unless given. */
  readonly pointer?: string | undefined
  /** This snapshot alone, whatever the pointer or the roots say. */
  readonly snapshot?: CidBytes | undefined
  /** `auto`: linked if all content is there. */
  readonly content: ContentMode | 'auto'
  /** Go on without what is missing; otherwise that is an error. */
  readonly skipMissing: boolean
  /** Also read older snapshots and events. */
  readonly history: boolean
  readonly dataset: string
  /** For the entities of /arke/test. */
  readonly testDataset: string
  readonly init?: Omit<InitOptions, 'content'> | undefined
  readonly tempDir?: string | undefined
  /** Every finding, also when the import ends with an error. */
  readonly onFinding?: ((finding: Finding) => Promise<void>) | undefined
}

export interface ArkeDataset extends Partial<Loaded> {
  readonly dataset: string
  readonly content: ContentMode
  readonly entities: number
}

export interface ArkeReport {
  readonly start: Start
  readonly snapshot: OldSnapshot | undefined
  /** Entries and files that were read. */
  readonly read: number
  /** Something is missing without which an import goes on only when it is told to. */
  readonly stops: boolean
  readonly datasets: readonly ArkeDataset[]
  readonly findings: readonly FindingGroup[]
}

interface Work {
  readonly source: OldSource
  readonly target: Target | undefined
  readonly options: ArkeOptions
  readonly findings: Findings
  readonly candidates: ExternalSort
  readonly main: Spool
  readonly test: Spool
}

/** Without a target nothing is written: the report tells what an import would meet. */
export async function importArke(
  source: OldSource,
  target: Target | undefined,
  options: ArkeOptions,
): Promise<ArkeReport> {
  const { tempDir, signal } = options
  const content = new ContentStager(async () => {
    if (target === undefined) throw new CairnError('internal', 'nothing to stage into')
    return target.backend.stage(options.dataset, 'old content', { signal })
  }, signal)
  const work: Work = {
    source,
    target,
    options,
    findings: new Findings(tempDir),
    candidates: new ExternalSort({ tempDir }),
    main: new Spool(tempDir),
    test: new Spool(tempDir),
  }
  try {
    return await run(work, content)
  } finally {
    await content.end()
    for (const one of [work.findings, work.candidates, work.main, work.test]) await one.dispose()
  }
}

async function run(work: Work, content: ContentStager): Promise<ArkeReport> {
  const { source, target, options, findings, candidates } = work
  if (options.testDataset === options.dataset) throw sameDataset()
  const start = await findStart(source, options, findings)
  const collected = await new Collector(source, findings, candidates, options).collect(start)
  if (start.snapshot === undefined && start.head === undefined && collected.read === 0)
    throw nothingOld()
  const modes = await modesOf(target, options)
  const fallbackTs = collected.snapshot?.ts ?? start.pointer?.updated ?? 0
  const staging = target !== undefined && Object.values(modes).some((mode) => mode !== 'external')
  const walk = new ContentWalk({
    source,
    target: staging ? stagingTarget(target, content) : undefined,
    findings,
    signal: options.signal,
  })
  await judgeAll({ ...work, walk, fallbackTs })
  const decide = (mode: ContentMode | 'auto'): ContentMode => (mode === 'auto' ? 'linked' : mode)
  const linked = decide(modes.main) === 'linked' || decide(modes.test) === 'linked'
  const stops = findings.stops(linked)
  if (target !== undefined && stops && !options.skipMissing) throw await incomplete(work, linked)
  await content.flush()
  const datasets = [await loadOne(work, options.dataset, work.main, decide(modes.main))]
  if (work.test.count > 0)
    datasets.push(await loadOne(work, options.testDataset, work.test, decide(modes.test)))
  return {
    start,
    snapshot: collected.snapshot,
    read: collected.read,
    stops,
    datasets,
    findings: await findings.drain(options.onFinding),
  }
}

function stagingTarget({ backend }: Target, content: ContentStager): ContentTarget {
  return { blocks: backend, put: (block) => content.stage(block) }
}

interface Modes {
  readonly main: ContentMode | 'auto'
  readonly test: ContentMode | 'auto'
}

/** A dataset that is there has its mode; one that was asked for must be that one. */
async function modesOf(target: Target | undefined, options: ArkeOptions): Promise<Modes> {
  const { content: asked, dataset, testDataset, signal } = options
  const there = target === undefined ? [] : await target.cairn.datasets()
  const modeOf = async (name: string): Promise<ContentMode | 'auto'> => {
    if (target === undefined || !there.includes(name)) return asked
    const { pointer } = await (await target.cairn.dataset(name)).status({ signal })
    const mode = pointer.settings.content
    if (asked === 'auto' || asked === mode) return mode
    throw new CairnError(
      'conflict',
      `The dataset "${name}" is there, and its content is ${mode}.`,
      {
        hint: 'Leave --content out, or name another dataset with -d.',
        dataset: name,
      },
    )
  }
  return { main: await modeOf(dataset), test: await modeOf(testDataset) }
}

async function loadOne(
  { target, options, findings }: Work,
  name: string,
  spool: Spool,
  content: ContentMode,
): Promise<ArkeDataset> {
  const about = { dataset: name, content, entities: spool.count }
  if (target === undefined) return about
  const { dataset } = await target.cairn.init(name, { ...options.init, content })
  const { signal, onProgress, tempDir } = options
  const load = { content, findings, signal, onProgress, tempDir }
  return { ...about, ...(await loadDataset(dataset, spool, load)) }
}

async function incomplete({ findings, options }: Work, linked: boolean): Promise<CairnError> {
  const always = findings.stops(false)
  const groups = (await findings.drain(options.onFinding)).filter(({ stops }) =>
    linked ? stops !== 'never' : stops === 'always',
  )
  const list = groups.map(({ kind, count, some }) => {
    const { pi, cid, detail } = some[0] ?? {}
    const first = [pi, cid, detail].filter((one) => one !== undefined).join(', ')
    return `${count} x ${kind} (first: ${first.slice(0, 200)})`
  })
  const external = linked && !always ? '`--content external` keeps tips as CIDs; ' : ''
  return new CairnError(
    always ? 'block_missing' : 'content_missing',
    `The old data is not whole: ${list.join('; ')}.`,
    {
      hint: `${external}\`--skip-missing\` goes on without; \`--report FILE\` lists all of it.`,
      findings: groups,
    },
  )
}

function sameDataset(): CairnError {
  return new CairnError('usage', 'Test entities cannot go to the same dataset as the others.', {
    hint: 'Name another one with --test-dataset.',
  })
}

function nothingOld(): CairnError {
  return new CairnError('not_found', 'There is no data of the old system.', {
    hint: 'The node has no index pointer and no .tip files; --pointer or --snapshot says where to look.',
  })
}

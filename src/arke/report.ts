/**
 * What an import found that is not as it should be. Every finding is listed, none is invented: they are
 * sorted outside memory, so that what was met twice is told once, and a report may be of any length.
 */
import { printCid, type CidBytes } from '../model/cid.ts'
import { keyOf } from '../model/entity-id.ts'
import { ExternalSort } from '../util/external-sort.ts'

/**
 * Each kind with what it means. `stops`: whether entities would be left out or be stale, so that
 * it takes `--skip-missing` to go on; for `linked` only where content must be linked.
 */
const KINDS: Readonly<Record<FindingKind, { stops: Stops; text: string }>> = {
  missing_chunk: { stops: 'always', text: 'a chunk of the snapshot cannot be read' },
  missing_recent: { stops: 'always', text: 'a recent chain entry or event cannot be read' },
  bad_entry: { stops: 'always', text: 'an entry is malformed' },
  no_tip: { stops: 'always', text: 'an entity is known, but not where its newest version is' },
  unusable_cid: { stops: 'always', text: 'the CID of a tip is not one that Cairn takes' },
  missing_manifest: { stops: 'linked', text: 'the newest version of an entity is not there' },
  missing_version: {
    stops: 'linked',
    text: 'an older version that a newer one links to is not there',
  },
  missing_component: { stops: 'linked', text: 'a component that a version links to is not there' },
  missing_block: { stops: 'linked', text: 'a block below a version is not there' },
  bad_content: { stops: 'linked', text: 'a block of content cannot be read or is too large' },
  not_linked: { stops: 'never', text: 'named by a version, but not linked (so not imported)' },
  not_linked_missing: { stops: 'never', text: 'named by a version, not linked, and not there' },
  missing_event: { stops: 'never', text: 'an old event or chain entry is not there' },
  missing_history: { stops: 'never', text: 'an older snapshot is not there' },
  only_in_history: { stops: 'never', text: 'an entity that only older snapshots or events have' },
  rewritten: {
    stops: 'never',
    text: 'bytes over 2 MiB, which a linked dataset keeps as a UnixFS file',
  },
  version_differs: {
    stops: 'never',
    text: 'one version with several tips, or one tip with several versions',
  },
  tip_file_differs: {
    stops: 'never',
    text: 'a .tip file names another tip, whose version is not known',
  },
  manifest_differs: {
    stops: 'never',
    text: 'a manifest says another version or id than its entry',
  },
  version_assumed: { stops: 'never', text: 'a version that is stated nowhere' },
  time_assumed: { stops: 'never', text: 'an entry without a readable time' },
  bad_file: { stops: 'never', text: 'a file in MFS that cannot be used' },
  count_differs: { stops: 'never', text: 'a stated count is another than what is there' },
  two_pointers: { stops: 'never', text: 'there are two index pointers; the newer one was taken' },
  newer_there: {
    stops: 'never',
    text: 'the dataset has other content under the same version, which stays',
  },
}

type Stops = 'always' | 'linked' | 'never'
export type FindingKind =
  | 'missing_chunk'
  | 'missing_recent'
  | 'bad_entry'
  | 'no_tip'
  | 'unusable_cid'
  | 'missing_manifest'
  | 'missing_version'
  | 'missing_component'
  | 'missing_block'
  | 'bad_content'
  | 'not_linked'
  | 'not_linked_missing'
  | 'missing_event'
  | 'missing_history'
  | 'only_in_history'
  | 'rewritten'
  | 'version_differs'
  | 'tip_file_differs'
  | 'manifest_differs'
  | 'version_assumed'
  | 'time_assumed'
  | 'bad_file'
  | 'count_differs'
  | 'two_pointers'
  | 'newer_there'

export interface Finding {
  readonly kind: FindingKind
  readonly cid?: string | undefined
  readonly pi?: string | undefined
  readonly detail?: string | undefined
}

export interface FindingGroup {
  readonly kind: FindingKind
  readonly text: string
  readonly stops: Stops
  readonly count: number
  /** The first few. */
  readonly some: readonly Finding[]
}

const SOME = 10

/** Where findings go. */
export type FindingSink = Pick<Findings, 'add'>

export class Findings {
  readonly #sort: ExternalSort
  readonly #stopping = { always: 0, linked: 0, never: 0 }

  constructor(tempDir?: string) {
    this.#sort = new ExternalSort({ tempDir, memoryBytes: 8 << 20 })
  }

  async add(
    kind: FindingKind,
    about: { cid?: CidBytes | undefined; pi?: string | undefined; detail?: string | undefined },
  ): Promise<void> {
    this.#stopping[KINDS[kind].stops] += 1
    const finding: Finding = {
      kind,
      ...(about.cid === undefined ? {} : { cid: printCid(about.cid) }),
      ...(about.pi === undefined ? {} : { pi: about.pi.slice(0, 600) }),
      ...(about.detail === undefined ? {} : { detail: about.detail }),
    }
    // A block is told once, whatever led to it; what is no block, once for each entity and detail.
    const subject = finding.cid ?? `${finding.pi ?? ''}\0${finding.detail ?? ''}`
    await this.#sort.add({
      key: keyOf(`${kind}\0${subject.toWellFormed()}`),
      payload: Buffer.from(JSON.stringify(finding)),
    })
  }

  /** Whether something was found that an import does not go on with unless it is told to. */
  stops(linked: boolean): boolean {
    return this.#stopping.always > 0 || (linked && this.#stopping.linked > 0)
  }

  /** All findings, each once, by kind, to `sink`; and a summary. Call it once, at the end. */
  async drain(sink?: (finding: Finding) => Promise<void>): Promise<FindingGroup[]> {
    const groups = new Map<FindingKind, { count: number; some: Finding[] }>()
    let last: string | undefined
    for await (const batch of this.#sort.sorted()) {
      for (const { key, payload } of batch) {
        if (key === last) continue
        last = key
        const finding = JSON.parse(payload.toString()) as Finding
        const group = groups.get(finding.kind) ?? { count: 0, some: [] }
        groups.set(finding.kind, group)
        group.count += 1
        if (group.some.length < SOME) group.some.push(finding)
        await sink?.(finding)
      }
    }
    return [...groups].map(([kind, group]) => ({ kind, ...KINDS[kind], ...group }))
  }

  dispose(): Promise<void> {
    return this.#sort.dispose()
  }
}

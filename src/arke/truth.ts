/**
 * The true state of one entity: its newest version among all that the old data says of it. Pure, and its
 * memory does not grow with the number of candidates.
 *
 *   a higher version wins; of one version the newest time, then the better origin
 *   a tip has one version: where several are stated for it (events were never checked against their
 *   manifests), the one that its manifest confirms, else the highest
 *   what states no version takes that of its manifest; without one it loses to whatever states one
 *   where nothing states one, versions are counted from 1 in the order of times, and that is told
 */
import { cidKey, printCid, type CidBytes } from '../model/cid.ts'
import { idOfKey } from '../model/entity-id.ts'
import { ORIGINS, type Candidate, type Origin } from './candidate.ts'
import type { ManifestFacts } from './manifest.ts'
import type { FindingKind } from './report.ts'

export interface Truth {
  readonly key: string
  readonly ver: number
  readonly tip: CidBytes
  readonly ts: number | undefined
  readonly test: boolean
}

export interface Remark {
  readonly kind: FindingKind
  readonly detail?: string
  readonly cid?: CidBytes
}

interface Stated {
  readonly ver: number
  readonly ts: number | undefined
  readonly origin: Origin
}

interface Tip {
  readonly tip: CidBytes
  /** By version; empty where nothing states one. */
  readonly stated: Map<number, Stated>
  /** The newest candidate without a version. */
  unstated: Pick<Stated, 'ts' | 'origin'> | undefined
}

type Resolved = Stated & { readonly tip: CidBytes }
type ManifestOf = (tip: CidBytes) => ManifestFacts | undefined

/** Of an entity with more tips, or a tip with more versions, the oldest versions are forgotten. */
const MAX_TIPS = 100
const MAX_VERSIONS = 10

export class Tally {
  readonly key: string
  readonly #tips = new Map<string, Tip>()
  /** The newest time at which something changed without saying to what. */
  #bareTs = -1
  #tipFile = false
  #onlyHistory = true
  #test = false

  constructor(key: string) {
    this.key = key
  }

  add({ origin, ver, ts, tip: cid, test }: Candidate): void {
    if (test) this.#test = true
    if (origin !== 'history') this.#onlyHistory = false
    if (origin === 'tip file') this.#tipFile = true
    if (cid === undefined) {
      this.#bareTs = Math.max(this.#bareTs, ts ?? 0)
      return
    }
    const tip = this.#tips.get(cidKey(cid)) ?? { tip: cid, stated: new Map(), unstated: undefined }
    this.#tips.set(cidKey(cid), tip)
    if (ver === undefined) tip.unstated = better({ ts, origin }, tip.unstated)
    else {
      tip.stated.set(ver, better({ ver, ts, origin }, tip.stated.get(ver)))
      if (tip.stated.size > MAX_VERSIONS) tip.stated.delete(Math.min(...tip.stated.keys()))
    }
    if (this.#tips.size > MAX_TIPS) this.#forgetOldest()
  }

  #forgetOldest(): void {
    const [oldest] = [...this.#tips].sort(([, a], [, b]) => highest(a) - highest(b))
    if (oldest !== undefined) this.#tips.delete(oldest[0])
  }

  /** The tips whose manifests have to be read before `finish`. */
  get wanted(): CidBytes[] {
    return [...this.#tips.values()].filter(({ stated }) => stated.size !== 1).map(({ tip }) => tip)
  }

  finish(manifestOf: ManifestOf): { truth: Truth | undefined; remarks: Remark[] } {
    const remarks: Remark[] = []
    const resolved: Resolved[] = []
    const unknown: Resolved[] = []
    for (const tip of this.#tips.values()) {
      const one = this.#resolve(tip, manifestOf(tip.tip), remarks)
      if (one.ver > 0) resolved.push(one)
      else unknown.push(one)
    }
    const truth = this.#choose(resolved.sort(newestFirst), unknown.sort(newestFirst), remarks)
    if (truth === undefined) remarks.push({ kind: 'no_tip', detail: 'no tip is recorded anywhere' })
    else if (!this.#tipFile && this.#bareTs > (truth.ts ?? 0)) {
      const when = new Date(this.#bareTs).toISOString()
      remarks.push({
        kind: 'no_tip',
        detail: `changed at ${when}; the tip since then is not recorded`,
      })
    }
    if (this.#onlyHistory) remarks.push({ kind: 'only_in_history' })
    return { truth, remarks }
  }

  /** The one version of a tip; 0 where it is not known. */
  #resolve(
    { tip, stated, unstated }: Tip,
    manifest: ManifestFacts | undefined,
    remarks: Remark[],
  ): Resolved {
    const isOwn = manifest?.pi === undefined || manifest.pi === idOfKey(this.key)
    const confirmed = isOwn ? manifest?.ver : undefined
    if (stated.size === 0) {
      const ts = unstated?.ts ?? (isOwn ? manifest?.ts : undefined)
      return { tip, ver: confirmed ?? 0, ts, origin: unstated?.origin ?? 'history' }
    }
    const versions = [...stated.values()].sort((a, b) => b.ver - a.ver)
    const one = versions.find(({ ver }) => ver === confirmed) ?? versions[0]
    if (one === undefined) return { tip, ver: 0, ts: undefined, origin: 'history' }
    if (versions.length > 1) {
      const all = versions.map(({ ver }) => ver).join(' and ')
      const detail = `${printCid(tip)} is called version ${all}; took ${one.ver}`
      remarks.push({ kind: 'version_differs', detail })
    }
    return { ...one, tip }
  }

  #choose(
    resolved: readonly Resolved[],
    unknown: readonly Resolved[],
    remarks: Remark[],
  ): Truth | undefined {
    const about = { key: this.key, test: this.#test }
    const [best, rival] = resolved
    if (best !== undefined) {
      const { ver, tip, ts } = best
      if (rival?.ver === ver) {
        const detail = `version ${ver} is ${printCid(tip)} and ${printCid(rival.tip)}; took the first`
        remarks.push({ kind: 'version_differs', detail })
      }
      for (const other of unknown) {
        const detail = `${printCid(other.tip)}; took version ${ver}, ${printCid(tip)}`
        remarks.push({ kind: 'tip_file_differs', detail })
      }
      return { ...about, ver, tip, ts }
    }
    const [newest] = unknown
    if (newest === undefined) return undefined
    remarks.push({ kind: 'version_assumed', detail: `took ${unknown.length}` })
    return { ...about, ver: unknown.length, tip: newest.tip, ts: newest.ts }
  }
}

/** What the node serves now is never forgotten. */
const highest = ({ stated, unstated }: Tip): number =>
  unstated?.origin === 'tip file' ? Infinity : Math.max(0, ...stated.keys())

function better<T extends Pick<Stated, 'ts' | 'origin'>>(one: T, known: T | undefined): T {
  return known === undefined || compare(one, known) < 0 ? one : known
}

/** Below 0: the first one counts. */
function compare(a: Pick<Stated, 'ts' | 'origin'>, b: Pick<Stated, 'ts' | 'origin'>): number {
  if ((a.ts ?? -1) !== (b.ts ?? -1)) return (b.ts ?? -1) - (a.ts ?? -1)
  return ORIGINS.indexOf(a.origin) - ORIGINS.indexOf(b.origin)
}

/** The last resort is the CID, so that the order of reading does not matter. */
function newestFirst(a: Resolved, b: Resolved): number {
  return b.ver - a.ver || compare(a, b) || Buffer.compare(a.tip, b.tip)
}

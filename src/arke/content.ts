/**
 * What lies under a tip: every block that it links to is looked for, and on its way into the store when
 * there is one. What a manifest names without linking to it (plain maps, see links.ts) is looked for as
 * well, but is no part of its DAG.
 */
import { isCairnError, throwIfAborted } from '../errors.ts'
import { encodeFile } from '../content/encode.ts'
import { decodeContent, linksOf } from '../content/links.ts'
import { CODEC_RAW, cidKey, cidParts, printCid, type Block, type CidBytes } from '../model/cid.ts'
import { idOfKey } from '../model/entity-id.ts'
import { isManifest, manifestFacts, namedBy, type Named } from './manifest.ts'
import type { FindingKind, FindingSink } from './report.ts'
import { isMap, readBlocks, type OldBlocks, type OldSource, type ReadBlock } from './source.ts'
import type { Truth } from './truth.ts'

/** Where content goes. */
export interface ContentTarget {
  /** Blocks that are there already are neither read from the source nor put. */
  readonly blocks: OldBlocks
  put(block: Block): Promise<void>
}

export interface ContentOptions {
  readonly source: OldSource
  readonly target: ContentTarget | undefined
  readonly findings: FindingSink
  readonly signal?: AbortSignal | undefined
}

/** `tip`: what a linked dataset takes, where that is another than the old one. */
export interface TipContent {
  readonly whole: boolean
  readonly tip: CidBytes
}

type Role = 'manifest' | 'version' | 'component' | 'block'

interface Item {
  readonly cid: CidBytes
  readonly role: Role
  readonly name: string
  /** Whether a row of real links leads here from the tip. */
  readonly linked: boolean
}

const MISSING: Readonly<Record<Role, FindingKind>> = {
  manifest: 'missing_manifest',
  version: 'missing_version',
  component: 'missing_component',
  block: 'missing_block',
}

/** The most that Cairn takes in one block of content. */
const MAX_LINKED_BYTES = 2 << 20
/** Blocks that are read at a time, and tips whose blocks are looked at together. */
const WIDTH = 8
export const TIPS_AT_ONCE = 8
/** Blocks that are remembered as whole; beyond that they are looked at again. */
const REMEMBERED = 500_000

export class ContentWalk {
  readonly #options: ContentOptions
  /** Blocks under which everything was found. */
  #whole = new Set<string>()

  constructor(options: ContentOptions) {
    this.#options = options
  }

  async walk(truth: Truth): Promise<TipContent> {
    const one = new TipWalk(this.#options, truth, this.#whole)
    const content = await one.run()
    if (this.#whole.size > REMEMBERED) this.#whole = new Set()
    if (content.whole) for (const key of one.linkedKeys) this.#whole.add(key)
    return content
  }
}

class TipWalk {
  readonly linkedKeys = new Set<string>()
  readonly #options: ContentOptions
  readonly #truth: Truth
  readonly #known: ReadonlySet<string>
  readonly #namedKeys = new Set<string>()
  readonly #ahead: Item[] = []
  #isWhole = true
  #tip: CidBytes

  constructor(options: ContentOptions, truth: Truth, known: ReadonlySet<string>) {
    this.#options = options
    this.#truth = truth
    this.#known = known
    this.#tip = truth.tip
  }

  async run(): Promise<TipContent> {
    this.#queue({ cid: this.#truth.tip, role: 'manifest', name: 'tip', linked: true })
    while (this.#ahead.length > 0) {
      throwIfAborted(this.#options.signal)
      const items = this.#ahead.splice(-WIDTH)
      const needed = await this.#withoutPresent(items)
      const blocks = await this.#read(needed.map(({ cid }) => cid))
      for (const [i, item] of needed.entries()) {
        const block = blocks[i]
        if (block !== undefined) await this.#visit(item, block)
      }
    }
    return { whole: this.#isWhole, tip: this.#tip }
  }

  #queue(item: Item): void {
    const key = cidKey(item.cid)
    const seen = item.linked ? this.linkedKeys : this.#namedKeys
    // A tip is read in any case: each entity is compared with its manifest.
    const known = item.linked && item.role !== 'manifest' && this.#known.has(key)
    if (seen.has(key) || known) return
    seen.add(key)
    this.#ahead.push(item)
  }

  /** Raw blocks that the target has, and those that are only looked for, need no reading. */
  async #withoutPresent(items: readonly Item[]): Promise<Item[]> {
    const { source, target, signal } = this.#options
    const raw = items.filter(({ cid }) => {
      const { codec, hash } = cidParts(cid)
      return codec === CODEC_RAW && hash === 'sha2-256'
    })
    if (raw.length === 0) return [...items]
    const cids = raw.map(({ cid }) => cid)
    const inTarget = (await target?.blocks.hasBlocks(cids, { signal, rely: true })) ?? []
    const inSource = await source.blocks.hasBlocks(cids, { signal })
    const present = new Set(
      raw.filter((item, i) => inTarget[i] === true || (!item.linked && inSource[i] === true)),
    )
    for (const item of present) if (!item.linked) await this.#notLinked(item, true)
    return items.filter((item) => !present.has(item))
  }

  async #read(cids: readonly CidBytes[]): Promise<ReadBlock[]> {
    const { source, target, signal } = this.#options
    const inline = (cid: CidBytes): ReadBlock | undefined => {
      const { hash, digest } = cidParts(cid)
      return hash === 'identity' ? { bytes: digest } : undefined
    }
    const asked = cids.filter((cid) => inline(cid) === undefined)
    const read = await readBlocks(source, asked, signal)
    for (const [i, cid] of asked.entries()) {
      const one = read[i]
      if (target === undefined || one === undefined || !('problem' in one)) continue
      const [there] = await readBlocks({ blocks: target.blocks }, [cid], signal)
      if (there !== undefined && 'bytes' in there) read[i] = there
    }
    let next = 0
    return cids.map((cid) => inline(cid) ?? read[next++] ?? { problem: 'missing' })
  }

  async #visit(item: Item, block: ReadBlock): Promise<void> {
    if ('problem' in block) {
      if (!item.linked) return this.#notLinked(item, false)
      const missing = block.problem === 'missing'
      return this.#broken(item, missing ? MISSING[item.role] : 'bad_content', block.problem)
    }
    if (!item.linked) await this.#notLinked(item, true)
    const { bytes } = block
    if (item.linked && bytes.length > MAX_LINKED_BYTES) return this.#tooLarge(item, bytes)
    const { codec, hash } = cidParts(item.cid)
    if (codec !== CODEC_RAW && !(await this.#follow(item, codec, bytes))) return
    if (item.linked && hash !== 'identity')
      await this.#options.target?.put({ cid: item.cid, bytes: new Uint8Array(bytes) })
  }

  /** Queues what a block names and links to; false if it cannot be read. */
  async #follow(item: Item, codec: number, bytes: Uint8Array): Promise<boolean> {
    let named: Named[]
    let links: CidBytes[]
    try {
      const value = decodeContent(item.cid, codec, bytes)
      if (item.role === 'manifest') await this.#compare(value)
      const isVersion = item.role === 'manifest' || item.role === 'version'
      named = isVersion && isMap(value) ? namedBy(value) : []
      links = item.linked ? linksOf(item.cid, bytes) : []
    } catch (error) {
      if (!isCairnError(error, 'invalid_content') && !isCairnError(error, 'invalid_entry'))
        throw error
      if (item.linked) await this.#broken(item, 'bad_content', error.message)
      return false
    }
    for (const { name, role, link } of named) {
      if ('cid' in link)
        this.#queue({ cid: link.cid, role, name, linked: item.linked && link.linked })
      else await this.#note('not_linked_missing', undefined, `${name}: ${link.unusable}`)
    }
    for (const cid of links)
      this.#queue({ cid, role: 'block', name: `below ${item.name}`, linked: true })
    return true
  }

  async #compare(value: unknown): Promise<void> {
    const { key, ver } = this.#truth
    const facts = isMap(value) && isManifest(value) ? manifestFacts(value) : undefined
    if (facts?.ver !== undefined && facts.ver !== ver)
      await this.#note('manifest_differs', undefined, `entry ${ver}, manifest ${facts.ver}`)
    if (facts?.pi !== undefined && facts.pi !== idOfKey(key))
      await this.#note('manifest_differs', undefined, `the manifest is of ${facts.pi}`)
  }

  /** Bytes can be stored another way; what links to them, or is JSON, would have to change. */
  async #tooLarge(item: Item, bytes: Uint8Array): Promise<void> {
    const { codec } = cidParts(item.cid)
    if (item.role !== 'manifest' || codec !== CODEC_RAW)
      return this.#broken(item, 'bad_content', `it has ${bytes.length} bytes`)
    this.#tip = await encodeFile(bytes, async (block) => {
      await this.#options.target?.put({ cid: block.cid, bytes: new Uint8Array(block.bytes) })
    })
    await this.#note('rewritten', item.cid, `${bytes.length} bytes, as ${printCid(this.#tip)}`)
  }

  #broken(item: Item, kind: FindingKind, detail: string): Promise<void> {
    this.#isWhole = false
    return this.#note(kind, item.cid, item.role === 'manifest' ? detail : `${item.name}: ${detail}`)
  }

  #notLinked(item: Item, there: boolean): Promise<void> {
    return this.#note(there ? 'not_linked' : 'not_linked_missing', item.cid, item.name)
  }

  #note(kind: FindingKind, cid: CidBytes | undefined, detail: string): Promise<void> {
    return this.#options.findings.add(kind, { cid, pi: idOfKey(this.#truth.key), detail })
  }
}

/**
 * What a simulated store holds, and what each effect does to it at one moment. As adverse as the contract
 * (`src/store/backend.ts`) permits: what may be freed is freed at once, what may be buffered may be lost.
 */
import { CairnError } from '../../src/errors.ts'
import { linksOf } from '../../src/content/links.ts'
import { bytesEqual, cidKey, cidParts, digestKey } from '../../src/model/cid.ts'
import type { Block, CidBytes } from '../../src/model/cid.ts'
import type { CommitOutcome, CommitRequest, HeldBlock, HeldCid } from '../../src/store/backend.ts'
import type { Random } from '../helpers/random.ts'
import type { Owner } from './world.ts'

interface Log {
  readonly commits: (Uint8Array | undefined)[]
  oldest: number
}

export interface Staged {
  readonly id: number
  readonly owner: Owner
  /** Handed over, and lost with a crash. */
  buffered: HeldBlock[]
  /** In the store, and safe there while the staging lives. */
  readonly written: Map<string, HeldBlock>
  broken: boolean
}

export interface SweepState {
  readonly owner: Owner
  readonly before: ReadonlySet<number>
  readonly touched: Set<string>
  readonly marked: Set<string>
  readonly markedDigests: Set<string>
  readonly offered: Map<string, CidBytes>
}

/** Who looks on: told of every block and every commit as they take effect. */
export interface Watcher {
  block(block: Block): void
  commit(dataset: string, number: number, bytes: Uint8Array): void
}

export class SimStore {
  readonly frees: 'blocks' | 'holds'
  readonly blocks: Map<string, Uint8Array> = new Map<string, Uint8Array>()
  readonly logs: Map<string, Log> = new Map<string, Log>()
  readonly stagings: Map<number, Staged> = new Map<number, Staged>()
  readonly leases: Map<number, { readonly owner: Owner; readonly note: string }> = new Map()
  sweeps = 0
  sweep: SweepState | undefined
  /** How often it has crashed: calls under way then have failed. */
  epoch = 0
  /** Something was freed since this was last set to false. */
  hasLost = false
  /** Of what is in `blocks`: other bytes than were written. */
  readonly rotten: Set<string> = new Set<string>()
  /** What becomes of a staged block that is new: itself, other bytes, or nothing. */
  keep: (bytes: Uint8Array) => Uint8Array | undefined = (bytes) => bytes
  readonly #random: Random
  readonly #watcher: Watcher | undefined
  /** `holds`: what is held for itself, and with all under it. */
  readonly #held = new Map<string, { readonly cid: CidBytes; deep: boolean }>()
  /** `holds`: what stagings left that may name nothing. */
  readonly #orphans = new Map<string, CidBytes>()
  /** Freed, though not yet durably so. */
  readonly #ghosts = new Map<string, Uint8Array>()
  #ids = 0

  constructor(frees: 'blocks' | 'holds', random: Random, watcher?: Watcher) {
    this.frees = frees
    this.#random = random
    this.#watcher = watcher
  }

  read(cid: CidBytes, rely: boolean): Uint8Array | undefined {
    const inline = inlineBytes(cid)
    if (inline !== undefined) return inline
    const key = digestKey(cid)
    const bytes = this.blocks.get(key)
    if (bytes !== undefined && rely) this.sweep?.touched.add(key)
    return bytes
  }

  write({ cid, bytes }: Block): void {
    if (inlineBytes(cid) !== undefined) return
    const key = digestKey(cid)
    this.sweep?.touched.add(key)
    this.#ghosts.delete(key)
    if (this.rotten.delete(key) || !this.blocks.has(key))
      this.blocks.set(key, new Uint8Array(bytes))
    this.#watcher?.block({ cid, bytes })
  }

  /** As a disk may that lies; of the engine's own blocks alone, which it reads back. */
  #writeStaged(block: HeldBlock): void {
    const { cid, bytes, hold } = block
    const key = digestKey(cid)
    const isNew = inlineBytes(cid) === undefined && !this.blocks.has(key)
    const kept = isNew && (hold === 'self' || hold === 'deep') ? this.keep(bytes) : bytes
    if (kept === bytes && !this.rotten.has(key)) return this.write(block)
    this.#watcher?.block(block)
    // A store that holds deep has read what it takes.
    if (!isNew || kept === undefined || this.frees === 'holds') return
    this.sweep?.touched.add(key)
    this.blocks.set(key, kept)
    this.rotten.add(key)
  }

  /** What rotted is taken away by who keeps the store. */
  cleanse(): void {
    for (const key of this.rotten) this.#drop(key)
  }

  #drop(key: string): void {
    this.blocks.delete(key)
    this.rotten.delete(key)
  }

  heal(blocks: readonly Block[]): void {
    for (const { cid } of blocks) this.#drop(digestKey(cid))
    for (const block of blocks) this.write(block)
  }

  // --- Stagings and leases --------------------------------------------------------------------------

  beginStaging(owner: Owner): Staged {
    const staged = { id: this.#ids++, owner, buffered: [], written: new Map(), broken: false }
    this.stagings.set(staged.id, staged)
    return staged
  }

  /** Some of what is handed over may be there at once. */
  put(staged: Staged, blocks: readonly HeldBlock[]): void {
    staged.buffered.push(...blocks.map(copyOf))
    const early = this.#random.int(0, 3) === 0 ? staged.buffered.length : 0
    if (this.#random.int(0, 1) === 0) this.flush(staged, this.#random.int(0, early))
  }

  flush(staged: Staged, count: number = staged.buffered.length): void {
    const some = staged.buffered.splice(0, count)
    for (const block of some) this.#writeStaged(block)
    for (const block of some) this.#stageHold(staged, block)
  }

  #stageHold(staged: Staged, block: HeldBlock): void {
    staged.written.set(cidKey(block.cid), block)
    if (this.frees === 'blocks' || block.hold === 'staged' || block.hold === 'under') return
    if (block.hold === 'deep') this.#proveWhole(block.cid)
    this.#hold(block.cid, block.hold === 'deep')
  }

  endStaging(staged: Staged, outcome: 'committed' | 'dropped'): void {
    if (!this.stagings.delete(staged.id) || this.frees === 'blocks') return
    if (outcome === 'dropped') this.#orphan(staged)
  }

  #orphan({ written }: Staged): void {
    for (const [key, { cid }] of written) this.#orphans.set(key, cid)
  }

  lease(owner: Owner, note: string): number {
    const id = this.#ids++
    this.leases.set(id, { owner, note })
    return id
  }

  /** An hour after its process died, or fell asleep. */
  expire(owner: Owner): void {
    for (const staged of this.stagings.values())
      if (staged.owner === owner) this.endStaging(staged, 'dropped')
    for (const [id, lease] of this.leases) if (lease.owner === owner) this.leases.delete(id)
    if (this.sweep?.owner === owner) this.sweep = undefined
  }

  // --- Commits --------------------------------------------------------------------------------------

  commit(request: CommitRequest, staged: Staged | undefined): CommitOutcome {
    const { dataset, number, bytes, blocks, content = [], staging, sweeps } = request
    const log = this.logs.get(dataset) ?? { commits: [], oldest: 0 }
    if (number !== log.commits.length) return sayPast(log, number, bytes)
    if (staging !== undefined && (staged === undefined || !this.stagings.has(staged.id)))
      throw new CairnError('conflict', 'The store has ended the staging of this commit.')
    if (sweeps !== undefined && sweeps !== this.sweeps) return 'swept'
    this.#proveHeld(blocks, content)
    for (const block of [...content, ...blocks]) this.write(block)
    if (this.frees === 'holds') for (const { cid, hold } of blocks) this.#hold(cid, hold === 'deep')
    log.commits.push(new Uint8Array(bytes))
    this.logs.set(dataset, log)
    this.#watcher?.commit(dataset, number, bytes)
    return 'committed'
  }

  #proveHeld(blocks: readonly HeldBlock[], content: readonly Block[]): void {
    if (this.frees === 'blocks') return
    const given = new Map([...content, ...blocks].map(({ cid, bytes }) => [digestKey(cid), bytes]))
    for (const { cid, hold } of blocks) if (hold === 'deep') this.#proveWhole(cid, given)
  }

  /** Some of them, and never the newest two. */
  forget(dataset: string, below: number): void {
    const log = this.logs.get(dataset)
    if (log === undefined) return
    const most = Math.min(below, log.commits.length - 2)
    const oldest = this.#random.int(0, 3) === 0 ? most - this.#random.int(0, 3) : most
    while (log.oldest < oldest) log.commits[log.oldest++] = undefined
  }

  // --- Sweeping -------------------------------------------------------------------------------------

  beginSweep(owner: Owner): SweepState {
    if (this.sweep !== undefined) throw new CairnError('busy', 'Another sweep is under way.')
    this.#ghosts.clear()
    const isBlocks = this.frees === 'blocks'
    const sweep: SweepState = {
      owner,
      before: new Set(isBlocks ? this.stagings.keys() : []),
      touched: new Set(),
      marked: new Set(),
      markedDigests: new Set(),
      offered: new Map(this.#orphans),
    }
    if (isBlocks) this.sweeps += 1
    else
      for (const { written } of this.stagings.values())
        for (const { cid } of written.values()) sweep.touched.add(digestKey(cid))
    this.sweep = sweep
    return sweep
  }

  mark({ marked, markedDigests }: SweepState, blocks: readonly HeldCid[]): boolean[] {
    return blocks.map(({ cid }) => {
      markedDigests.add(digestKey(cid))
      const before = marked.size
      return marked.add(cidKey(cid)).size > before
    })
  }

  /** What may go now. */
  doomed({ marked, markedDigests, touched, offered }: SweepState): string[] {
    if (this.frees === 'blocks')
      return [...this.blocks.keys()].filter((key) => !markedDigests.has(key) && !touched.has(key))
    return [...offered].flatMap(([key, cid]) =>
      !marked.has(key) && !touched.has(digestKey(cid)) && this.#held.has(key) ? [key] : [],
    )
  }

  /** Answers how many bytes went. */
  free(doomed: readonly string[]): number {
    let bytes = 0
    this.hasLost ||= doomed.length > 0
    for (const key of doomed) {
      if (this.frees === 'holds') {
        this.#held.delete(key)
        this.#orphans.delete(key)
        continue
      }
      const block = this.blocks.get(key) ?? new Uint8Array()
      bytes += block.length
      if (!this.rotten.has(key)) this.#ghosts.set(key, block)
      this.#drop(key)
    }
    return bytes
  }

  /** What it freed is durably so. */
  endSweep(sweep: SweepState): void {
    if (this.sweep !== sweep) return
    this.sweep = undefined
    this.#ghosts.clear()
  }

  // --- Holding --------------------------------------------------------------------------------------

  #hold(cid: CidBytes, deep: boolean): void {
    const key = cidKey(cid)
    this.#held.set(key, { cid, deep: deep || this.#held.get(key)?.deep === true })
    this.#orphans.delete(key)
  }

  #proveWhole(root: CidBytes, given?: ReadonlyMap<string, Uint8Array>): void {
    for (const cid of this.#under(root, given)) {
      if (inlineBytes(cid) ?? given?.get(digestKey(cid)) ?? this.blocks.get(digestKey(cid)))
        continue
      throw new CairnError('content_missing', 'The store lacks what a block links to.')
    }
  }

  /** A block and all that is under it, as far as it is there. */
  #under(root: CidBytes, given?: ReadonlyMap<string, Uint8Array>): CidBytes[] {
    const found = new Map<string, CidBytes>()
    const rest = [root]
    for (let cid = rest.pop(); cid !== undefined; cid = rest.pop()) {
      if (found.has(cidKey(cid))) continue
      found.set(cidKey(cid), cid)
      const bytes =
        inlineBytes(cid) ?? given?.get(digestKey(cid)) ?? this.blocks.get(digestKey(cid))
      if (bytes !== undefined) rest.push(...knownLinks(cid, bytes))
    }
    return [...found.values()]
  }

  /** `holds`: what nobody holds goes, at any time. */
  collect(): void {
    if (this.frees === 'blocks') return
    const stays = new Set<string>()
    const keep = (cid: CidBytes, deep: boolean): void => {
      for (const one of deep ? this.#under(cid) : [cid]) stays.add(digestKey(one))
    }
    for (const { cid, deep } of this.#held.values()) keep(cid, deep)
    for (const { written } of this.stagings.values())
      for (const { cid } of written.values()) keep(cid, false)
    for (const key of this.blocks.keys()) if (!stays.has(key)) this.#drop(key)
    this.hasLost = true
  }

  /** What was not flushed is lost, or was there already; what was freed may be back. */
  crash(): void {
    this.epoch += 1
    for (const staged of this.stagings.values()) {
      if (staged.buffered.length === 0) continue
      const lucky = staged.buffered.filter(() => this.#random.int(0, 1) === 0)
      for (const block of lucky) this.#writeStaged(block)
      staged.buffered = []
      staged.broken = true
    }
    for (const [key, bytes] of this.#ghosts)
      if (this.#random.int(0, 1) === 0 && !this.blocks.has(key)) this.blocks.set(key, bytes)
    this.#ghosts.clear()
  }
}

function sayPast({ commits, oldest }: Log, number: number, bytes: Uint8Array): CommitOutcome {
  if (number < oldest) return 'forgotten'
  const stored = commits[number]
  return stored !== undefined && bytesEqual(stored, bytes) ? 'committed' : 'conflict'
}

export function inlineBytes(cid: CidBytes): Uint8Array | undefined {
  const { hash, digest } = cidParts(cid)
  return hash === 'identity' ? digest : undefined
}

export function copyOf<T extends Block>(block: T): T {
  cidParts(block.cid)
  return { ...block, cid: new Uint8Array(block.cid), bytes: new Uint8Array(block.bytes) }
}

const links = new Map<string, readonly CidBytes[]>()

/** The links of a block, decoded once. */
export function knownLinks(cid: CidBytes, bytes: Uint8Array): readonly CidBytes[] {
  const key = cidKey(cid)
  const known = links.get(key)
  if (known !== undefined) return known
  if (links.size > 100_000) links.clear()
  const found = linksOf(cid, bytes)
  links.set(key, found)
  return found
}

/**
 * A sweep. Only packs that were there when it began are ever deleted; what is written later is in others.
 *
 *   1 `sweeps/NUMBER` is put, and the packs are listed
 *   2 `sweep.json` says `marking`: from now on who relies on a block touches it; then the stagings that were
 *     there before end
 *   3 the grace: commits that were asked for before, and looked at their blocks before, have landed
 *   4 its owner reads the commits and marks
 *   5 packs that are half dead: what is marked is copied out of them
 *   6 `sweep.json` says `freeing`; what was touched is copied as well; they are deleted
 *
 * If it dies before 6 nothing was freed. If it dies in 6, those who rely on blocks wait until its lease
 * is void, and what is known of packs is looked at anew each time until a sweep has ended.
 */
import { CairnError, isCairnError, throwIfAborted } from '../../errors.ts'
import { cidParts } from '../../model/cid.ts'
import type { CallOptions, Freed, HeldCid, Sweep } from '../../store/backend.ts'
import type { Bucket, ObjectInfo } from '../../s3/bucket.ts'
import { isPassing } from '../../s3/errors.ts'
import { DigestMap } from '../../util/digest-map.ts'
import { Marks } from '../marks.ts'
import type { Catalog } from './catalog.ts'
import { parsePackKey, sweepKey } from './layout.ts'
import { checkSound, pause, type BucketLease, type LeaseObjects } from './lease-objects.ts'
import type { Section } from './pack-builder.ts'
import type { PackWriter } from './pack-writer.ts'
import { DigestSet } from './digest-set.ts'
import { copyLiving } from './repack.ts'
import type { SweepState, SweepStates } from './sweep-state.ts'

const POLL_MS = 250
const DELETED_AT_ONCE = 200
const DELETE_MS = 5 * 60_000
/** The objects that decide who sweeps are kept for as many sweeps. */
const KEPT_TURNS = 8

export interface SweepParts {
  readonly bucket: Bucket
  readonly catalog: Catalog
  readonly leases: LeaseObjects
  readonly states: SweepStates
  readonly newWriter: () => PackWriter
  /** How long a commit that has looked at its blocks may take to land. */
  readonly graceMs: number
  /** From which share of dead bytes on a pack is written anew without them. */
  readonly deadShare: number
  readonly enter: (options?: CallOptions) => void
  /** Hears of an end that failed, where another error is the one to tell. */
  readonly onError: (error: unknown) => void
}

interface Victim {
  readonly info: ObjectInfo
  readonly dead: readonly Section[]
}

export async function beginSweep(
  parts: SweepParts,
  options: CallOptions & { readonly waitMs: number },
): Promise<Sweep> {
  const giveUpAt = performance.now() + options.waitMs
  const lease = await parts.leases.take('sweep', 'a sweep', options)
  let running: RunningSweep | undefined
  try {
    const { state, packs } = await takeTurn(parts, lease, giveUpAt, options)
    running = new RunningSweep(parts, lease, state, packs)
    for (let until = giveUpAt; ; until = performance.now() + options.waitMs) {
      await stagingsEnd(parts, until, options)
      await rest(parts.graceMs, options)
      if (!(await wasOverwritten(parts, lease, state, options))) break
    }
    parts.enter(options)
    return running
  } catch (error) {
    const ended = running === undefined ? lease.release() : running.end()
    await ended.catch(parts.onError)
    throw error
  }
}

/** Returns what it wrote to `sweep.json`, and the packs that were there before. */
async function takeTurn(
  { bucket, catalog, states, leases, enter }: SweepParts,
  lease: BucketLease,
  giveUpAt: number,
  options: CallOptions,
): Promise<{ readonly state: SweepState; readonly packs: readonly ObjectInfo[] }> {
  for (;;) {
    const { state: before, underWay } = await states.look(options)
    if (!underWay) {
      const begun = await putTurn(bucket, leases, lease, before.begun + 1, options)
      if (begun !== undefined) {
        // Others may have had turns since.
        const last = begun === before.begun + 1 ? before : await states.read(options)
        const version = last.version + (last.version % 2)
        const state = { begun, phase: 'marking', version, lease: lease.key } as const
        const packs = await catalog.list(0, options)
        await states.write(state, () => checkSound(lease))
        await bucket.delete(begun > KEPT_TURNS ? [sweepKey(begun - KEPT_TURNS)] : [])
        return { state, packs }
      }
    }
    if (performance.now() > giveUpAt) throw busy('Another sweep is under way.')
    await pause(POLL_MS, options.signal)
    enter(options)
  }
}

/**
 * A request of the sweep before may have come late, and hidden that this one is under way: those who relied
 * on blocks meanwhile did not say so, and what they asked for must land before anything is marked.
 */
async function wasOverwritten(
  { states }: SweepParts,
  lease: BucketLease,
  state: SweepState,
  options: CallOptions,
): Promise<boolean> {
  const now = await states.read(options)
  if (now.begun === state.begun && now.phase === state.phase) return false
  await states.write(state, () => checkSound(lease))
  return true
}

/** The number of the sweep that is ours now; undefined while another's owner lives. */
async function putTurn(
  bucket: Bucket,
  leases: LeaseObjects,
  lease: BucketLease,
  first: number,
  options: CallOptions,
): Promise<number | undefined> {
  for (let number = first; ; number++) {
    const key = sweepKey(number)
    await bucket.putOnce(key, Buffer.from(lease.key), options)
    const owner = Buffer.from((await bucket.get(key, options))?.bytes ?? []).toString()
    if (owner === lease.key) return number
    // Not there: the put was lost, and may yet land. Else its owner lives, or died before it began.
    if (owner === '' || (await leases.isLive(owner, options))) return undefined
  }
}

async function stagingsEnd(
  { leases, enter }: SweepParts,
  giveUpAt: number,
  options: CallOptions,
): Promise<void> {
  const before = new Set((await leases.live('staging', options)).map(({ key }) => key))
  for (;;) {
    const live = await leases.live('staging', options)
    if (!live.some(({ key }) => before.has(key))) return
    if (performance.now() >= giveUpAt) throw busy('A staging that was there before goes on.')
    await pause(POLL_MS, options.signal)
    enter(options)
  }
}

async function rest(ms: number, { signal }: CallOptions): Promise<void> {
  const until = performance.now() + ms
  while (performance.now() < until) {
    await pause(Math.min(1_000, until - performance.now()), signal)
    throwIfAborted(signal)
  }
}

class RunningSweep implements Sweep {
  readonly frees = 'blocks'
  readonly #parts: SweepParts
  readonly #lease: BucketLease
  readonly #numbers = new DigestMap()
  readonly #marks = new Marks()
  readonly #touched = new DigestSet()
  #state: SweepState
  #packs: readonly ObjectInfo[]
  #hasFreed = false
  #freeing: Promise<Freed> | undefined
  /** Something was asked to be deleted, and whether it was is not known. */
  #inDoubt = false
  #ended = false

  constructor(
    parts: SweepParts,
    lease: BucketLease,
    state: SweepState,
    packs: readonly ObjectInfo[],
  ) {
    this.#parts = parts
    this.#lease = lease
    this.#state = state
    this.#packs = packs
  }

  async mark(blocks: readonly HeldCid[]): Promise<boolean[]> {
    this.#enter()
    return blocks.map(({ cid }) => {
      const { hash, digest } = cidParts(cid)
      // It is nowhere, but has links like any other.
      if (hash === 'identity') return true
      this.#numbers.set(digest, this.#numbers.size)
      return this.#marks.add(this.#numbers.get(digest) ?? 0, cid)
    })
  }

  async offer(): Promise<void> {
    this.#enter()
  }

  async free(
    options: CallOptions & { readonly onProgress?: (done: number) => void } = {},
  ): Promise<Freed> {
    this.#enter(options)
    this.#freeing = this.#free(options)
    return await this.#freeing
  }

  async #free(
    options: CallOptions & { readonly onProgress?: (done: number) => void },
  ): Promise<Freed> {
    const writer = this.#parts.newWriter()
    // A late `marking` of the first time would hide the second.
    if (this.#hasFreed) await rest(this.#parts.graceMs, options)
    this.#hasFreed = true
    const victims = await this.#chooseVictims(writer, options)
    await writer.flush(options)
    await this.#say('freeing')
    try {
      for await (const digests of this.#parts.states.touched(this.#state.begun, options)) {
        this.#touched.addAll(digests)
      }
      const condemned = await this.#copyTouched(victims, writer, options)
      await writer.flush(options)
      return await this.#delete(condemned, options)
    } finally {
      if (!this.#inDoubt) await this.#say('marking')
    }
  }

  async end(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#freeing?.catch(() => {})
    this.#numbers.close()
    // As if it had died: until its lease is void nobody relies on anything.
    if (this.#inDoubt) return this.#lease.abandon()
    if (this.#lease.sound()) {
      await this.#parts.states.forgetTouched(this.#state.begun)
      await this.#say('none')
    }
    await this.#lease.release()
  }

  #stays(section: Section): boolean {
    const number = this.#numbers.get(section.digest)
    return (number !== undefined && this.#marks.has(number)) || this.#touched.has(section.digest)
  }

  /** Copies what is marked out of each pack that is dead enough. */
  async #chooseVictims(writer: PackWriter, options: CallOptions): Promise<Victim[]> {
    const victims: Victim[] = []
    for (const info of this.#packs) {
      this.#enter(options)
      const sections = await this.#parts.catalog.sections(info, options)
      if (sections === undefined) continue
      const dead = sections.filter((section) => !this.#stays(section))
      if (dead.length === 0 || lengthOf(dead) < lengthOf(sections) * this.#parts.deadShare) continue
      const victim = { info, dead }
      // Healed blocks go before others of the same CID only in a pack that says so.
      if (dead.length < sections.length && parsePackKey(info.key)?.healed === true) continue
      if (
        dead.length === sections.length ||
        (await this.#copy(victim, sections, writer, options))
      ) {
        victims.push(victim)
      }
    }
    return victims
  }

  async #copy(
    { info }: Victim,
    sections: readonly Section[],
    writer: PackWriter,
    options: CallOptions,
  ): Promise<boolean> {
    const stays = new Set(sections.filter((one) => this.#stays(one)).map(({ at }) => at))
    const copied = await copyLiving(
      this.#parts.bucket,
      info.key,
      ({ at }) => stays.has(at),
      writer,
      options,
    )
    return copied === 'copied'
  }

  /** Those of the victims that may go now; what was touched of them since they were chosen is copied. */
  async #copyTouched(
    victims: readonly Victim[],
    writer: PackWriter,
    options: CallOptions,
  ): Promise<Victim[]> {
    const condemned: Victim[] = []
    for (const victim of victims) {
      const touched = victim.dead.filter((section) => this.#touched.has(section.digest))
      if (touched.length > 0 && !(await this.#copy(victim, touched, writer, options))) continue
      const dead = victim.dead.filter((section) => !this.#touched.has(section.digest))
      condemned.push({ ...victim, dead })
    }
    return condemned
  }

  async #delete(
    condemned: readonly Victim[],
    options: CallOptions & { readonly onProgress?: (done: number) => void },
  ): Promise<Freed> {
    let [blocks, bytes] = [0, 0]
    for (let at = 0; at < condemned.length; at += DELETED_AT_ONCE) {
      this.#enter(options)
      const some = condemned.slice(at, at + DELETED_AT_ONCE)
      const keys = new Set(some.map(({ info }) => info.key))
      await this.#deleteSurely([...keys], options)
      this.#packs = this.#packs.filter(({ key }) => !keys.has(key))
      for (const { info, dead } of some) {
        this.#parts.catalog.gone(info.key)
        blocks += dead.length
        bytes += dead.reduce((sum, section) => sum + blockBytes(section), 0)
      }
      options.onProgress?.(blocks)
    }
    if (condemned.length === 0) options.onProgress?.(0)
    return { blocks, bytes }
  }

  /**
   * A request that was not answered may take effect later, and until then nobody may rely on what is there. So
   * it is made until one is answered; names of packs are used once, and one that comes late does no harm then.
   */
  async #deleteSurely(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    const giveUpAt = performance.now() + DELETE_MS
    for (;;) {
      let sent = 0
      const guard = (): void => {
        checkSound(this.#lease)
        sent++
      }
      try {
        await this.#parts.bucket.delete(keys, { guard })
        this.#inDoubt = false
        return
      } catch (error) {
        this.#inDoubt ||= sent > (isCairnError(error, 'access_denied') ? 1 : 0)
        if (!isPassing(error) || this.#ended || performance.now() > giveUpAt) throw error
      }
      await pause(POLL_MS, signal)
      throwIfAborted(signal)
    }
  }

  async #say(phase: SweepState['phase']): Promise<void> {
    const turned = (phase === 'freeing') !== (this.#state.phase === 'freeing')
    this.#state = { ...this.#state, phase, version: this.#state.version + (turned ? 1 : 0) }
    await this.#parts.states.write(this.#state, () => checkSound(this.#lease))
  }

  #enter(options?: CallOptions): void {
    this.#parts.enter(options)
    if (this.#ended) throw new CairnError('closed', 'This sweep has ended.')
    checkSound(this.#lease)
  }
}

const lengthOf = (sections: readonly Section[]): number =>
  sections.reduce((sum, { length }) => sum + length, 0)

/** Of a section its block alone: less the CID of 36 bytes and the varint. */
function blockBytes({ length }: Section): number {
  for (const varint of [1, 2, 3, 4]) {
    if (length - varint < 2 ** (7 * varint)) return length - varint - 36
  }
  return length
}

function busy(why: string): CairnError {
  return new CairnError('busy', why, { hint: 'Try again later.' })
}

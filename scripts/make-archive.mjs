/**
 * Makes an archive to try things on, always the same from a seed: 1 institution, 1 collection, 4 series,
 * 100 file units and 2,187 digital objects, each with a manifest and small components, and updates of
 * them. Run, it writes lines for `cairn import`:
 *
 *   node scripts/make-archive.mjs [--seed N] [--objects N] [--updates N] | cairn import -
 *
 * In these lines the components stand in their links (identity CIDs), so that nothing else is needed. As a
 * module it makes components that are blocks of their own, too.
 */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'

const RAW = 0x55
const SHA2_256 = 0x12
const SERIES = 4
const FILE_UNITS = 100
const OBJECTS = 2187
const START = Date.UTC(2025, 9, 11)
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const WORDS = [
  'map',
  'letter',
  'ledger',
  'photograph',
  'diary',
  'plan',
  'minutes',
  'sketch',
  'chart',
  'deed',
]

/** Numbers in [0, 1), always the same from a seed (mulberry32). */
function randomFrom(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** An id that sorts by time: 10 characters of the time, 16 at random, as in a ULID. */
function makeId(ts, random) {
  let time = ''
  for (let i = 9; i >= 0; i--) time += CROCKFORD[Math.floor(ts / 32 ** i) % 32]
  let tail = ''
  for (let i = 0; i < 16; i++) tail += CROCKFORD[Math.floor(random() * 32)]
  return time + tail
}

const cidOf = (codec, bytes) =>
  CID.createV1(codec, digestOf(SHA2_256, createHash('sha256').update(bytes).digest()))

export class Archive {
  /** Newest version of each entity, parents before children. */
  entities = []
  inline
  random
  #clock = START

  constructor({ seed = 1, objects = OBJECTS, inline = false } = {}) {
    this.inline = inline
    this.random = randomFrom(seed)
    const institution = this.#plan('institution')
    const collection = this.#plan('collection', institution)
    const series = this.#many(SERIES, 'series', [collection])
    const units = this.#many(FILE_UNITS, 'file unit', series)
    this.#many(objects, 'digital object', units)
    const plans = this.entities
    this.entities = plans.map((plan) => this.#version(plan, 1, null, `${plan.kind} made`))
  }

  #many(count, kind, parents) {
    return Array.from({ length: count }, (_, n) => this.#plan(kind, parents[n % parents.length]))
  }

  #plan(kind, parent) {
    this.#clock += 1 + Math.floor(this.random() * 2000)
    const pi = makeId(this.#clock, this.random)
    const plan = { pi, kind, children: [], parent: parent?.pi ?? null }
    parent?.children.push(pi)
    this.entities.push(plan)
    return plan
  }

  /** `count` new versions of entities chosen at random, each with `prev`, oldest first. */
  *updates(count) {
    for (let n = 0; n < count; n++) {
      const index = Math.floor(this.random() * this.entities.length)
      const { plan, ver, cid } = this.entities[index]
      const next = this.#version(plan, ver + 1, cid, `revision ${ver + 1}`)
      this.entities[index] = next
      yield next
    }
  }

  #version(plan, ver, prev, note) {
    this.#clock += 1 + Math.floor(this.random() * 1000)
    const ts = this.#clock
    const blocks = []
    const component = (bytes) => {
      if (this.inline) return CID.createV1(RAW, identity.digest(bytes))
      const cid = cidOf(RAW, bytes)
      blocks.push({ cid, bytes })
      return cid
    }
    const manifest = {
      schema: 'arke/manifest@v1',
      pi: plan.pi,
      ver,
      ts: new Date(ts).toISOString(),
      prev,
      components: this.#components(plan, ver, component),
      children_pi: [...plan.children],
      note,
    }
    const bytes = dagCbor.encode(manifest)
    const cid = cidOf(dagCbor.code, bytes)
    blocks.push({ cid, bytes })
    return { pi: plan.pi, kind: plan.kind, ver, ts, cid, manifest, blocks, plan }
  }

  /** Metadata for all, and what a digital object is made of. */
  #components(plan, ver, component) {
    const word = WORDS[Math.floor(this.random() * WORDS.length)]
    const metadata = component(this.#text(`{"title":"${word} v${ver}"}`))
    if (plan.kind !== 'digital object') return { metadata }
    const image = component(this.#bytes(this.inline ? 24 : 200 + Math.floor(this.random() * 800)))
    if (this.random() < 0.5) return { metadata, image }
    return { metadata, image, transcript: component(this.#text(`${word} ${plan.pi.slice(-8)}`)) }
  }

  #text(text) {
    const bytes = Buffer.from(text)
    return this.inline ? bytes.subarray(0, 36) : Buffer.concat([bytes, this.#bytes(64)])
  }

  #bytes(count) {
    return Buffer.from(Array.from({ length: count }, () => Math.floor(this.random() * 256)))
  }
}

/** A version as a line for `cairn import`. */
export function importLine({ pi, ver, ts, manifest }) {
  const value = JSON.parse(Buffer.from(dagJson.encode(manifest)).toString())
  return JSON.stringify({ pi, ver, ts: new Date(ts).toISOString(), value })
}

/** The lines of a whole archive, and of its updates. */
export function* importLines({ seed, objects, updates = 0 } = {}) {
  const archive = new Archive({ seed, objects, inline: true })
  for (const version of archive.entities) yield importLine(version)
  for (const version of archive.updates(updates)) yield importLine(version)
}

function count(text, name, fallback) {
  if (text === undefined) return fallback
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new Error(`--${name} is a whole number, not "${text}".`)
}

async function main() {
  const { values } = parseArgs({
    options: { seed: { type: 'string' }, objects: { type: 'string' }, updates: { type: 'string' } },
  })
  const lines = importLines({
    seed: count(values.seed, 'seed', 1),
    objects: count(values.objects, 'objects', OBJECTS),
    updates: count(values.updates, 'updates', 0),
  })
  // Who reads may have had enough.
  process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  for (const line of lines) {
    if (!process.stdout.write(`${line}\n`))
      await new Promise((resolve) => process.stdout.once('drain', resolve))
  }
}

const started = process.argv[1]
if (started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)) await main()

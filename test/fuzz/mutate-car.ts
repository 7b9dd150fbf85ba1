/**
 * Changing a CARv1 block by block. A changed block gets the CID that it then has, and so does whatever
 * names it, up to the roots: only so does a change reach what is checked behind the hashes.
 */
import { createHash } from 'node:crypto'
import { cborTree } from './cbor-items.ts'
import { mutateBytes, type Mutation } from './mutate-bytes.ts'
import { mutateCbor } from './mutate-cbor.ts'

export interface LooseSection {
  cid: Buffer
  bytes: Buffer
}

export interface LooseCar {
  header: Buffer
  sections: LooseSection[]
}

const CID_BYTES = 36

/** Undefined for what is no CARv1 of 36-byte CIDs. */
export function looseCar(bytes: Buffer): LooseCar | undefined {
  const head = section(bytes, 0)
  if (head === undefined || cborTree(head.body) === undefined) return undefined
  const sections: LooseSection[] = []
  let at = head.end
  while (at < bytes.length) {
    const one = section(bytes, at)
    if (one === undefined || one.body.length < CID_BYTES) return undefined
    sections.push({ cid: one.body.subarray(0, CID_BYTES), bytes: one.body.subarray(CID_BYTES) })
    at = one.end
  }
  return { header: head.body, sections }
}

function section(bytes: Buffer, at: number): { body: Buffer; end: number } | undefined {
  let length = 0
  let from = at
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[from++]
    if (byte === undefined) return undefined
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      const end = from + length
      return length > 0 && end <= bytes.length
        ? { body: bytes.subarray(from, end), end }
        : undefined
    }
  }
  return undefined
}

function printLoose({ header, sections }: LooseCar): Buffer {
  const parts = [varint(header.length), header]
  for (const { cid, bytes } of sections) parts.push(varint(cid.length + bytes.length), cid, bytes)
  return Buffer.concat(parts)
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  for (; left >= 0x80; left >>= 7) bytes.push((left & 0x7f) | 0x80)
  return Buffer.of(...bytes, left)
}

export function mutateCar(bytes: Buffer, mutation: Mutation): Buffer | undefined {
  const { random, pool } = mutation
  const car = looseCar(bytes)
  if (car === undefined || car.sections.length === 0) return undefined
  const { sections } = car
  const place = random.int(0, sections.length - 1)
  const one = sections[place]
  if (one === undefined) return undefined
  switch (random.int(0, 9)) {
    case 0:
      sections.splice(place, 1)
      break
    case 1:
      sections.splice(random.int(0, sections.length), 0, { ...one })
      break
    case 2:
      sections.push(...sections.splice(place, 1))
      break
    case 3: {
      const other = looseCar(Buffer.from(pool[random.int(0, pool.length - 1)] ?? bytes))
      const theirs = other?.sections[random.int(0, other.sections.length - 1)]
      if (theirs !== undefined) sections.splice(place, 0, theirs)
      break
    }
    case 4:
      car.header = changedBlock(car.header, mutation)
      break
    default:
      change(car, one, changedBlock(one.bytes, mutation))
  }
  return printLoose(car)
}

const changedBlock = (bytes: Buffer, mutation: Mutation): Buffer =>
  (mutation.random.next() < 0.85 ? mutateCbor(bytes, mutation) : undefined) ??
  mutateBytes(bytes, mutation)

/** Puts other bytes into a section and mends every CID that this makes wrong. */
function change(car: LooseCar, one: LooseSection, bytes: Buffer): void {
  const renamed: { readonly from: Buffer; readonly to: Buffer }[] = []
  const put = (target: LooseSection, now: Buffer): void => {
    const to = Buffer.from(target.cid)
    createHash('sha256')
      .update(now)
      .digest()
      .copy(to, CID_BYTES - 32)
    renamed.push({ from: Buffer.from(target.cid), to })
    target.bytes = now
    target.cid = to
  }
  put(one, bytes)
  // A block cannot name one that names it, so this ends; a hostile pool may repeat blocks.
  for (let step = 0; renamed.length > 0 && step < 200; step++) {
    const last = renamed.shift()
    if (last === undefined) break
    car.header = replaced(car.header, last.from, last.to) ?? car.header
    for (const other of car.sections) {
      const now = replaced(other.bytes, last.from, last.to)
      if (now !== undefined) put(other, now)
    }
  }
}

/** Undefined: `from` is not there. */
function replaced(bytes: Buffer, from: Buffer, to: Buffer): Buffer | undefined {
  if (from.equals(to) || bytes.indexOf(from) < 0) return undefined
  const now = Buffer.from(bytes)
  for (let at = now.indexOf(from); at >= 0; at = now.indexOf(from, at + to.length)) to.copy(now, at)
  return now
}

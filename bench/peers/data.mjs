/** The same data for every engine: ids that sort by time, 36 bytes of CID each; and objects of a live state. */

/** 26 characters, like a ULID. */
export const idOf = (index) => `01JBENCH${String(index).padStart(18, '0')}`

/** A CIDv1 of sha2-256 and DAG-CBOR whose digest does not compress. */
export function tipOf(index, ver) {
  const tip = new Uint8Array(36)
  tip.set([1, 0x71, 0x12, 0x20])
  let state = (index * 0x9e3779b1 + ver * 0x85ebca6b + 1) >>> 0
  for (let at = 4; at < 36; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    tip[at] = state
  }
  return tip
}

export const recordOf = (index, ver) => ({ id: idOf(index), ver, tip: tipOf(index, ver) })

export function* records(count) {
  for (let i = 0; i < count; i++) yield recordOf(i, 1)
}

/** Even distances over all keys. */
export const scattered = (count, some, ver) =>
  Array.from({ length: some }, (_, i) => recordOf(Math.floor((i * count) / some), ver))

export const newest = (count, some, ver) =>
  Array.from({ length: some }, (_, i) => recordOf(count - some + i, ver))

/** The version and the tip as one value, for stores of keys and bytes. */
export function packed({ ver, tip }) {
  const bytes = Buffer.allocUnsafe(4 + tip.length)
  bytes.writeUInt32LE(ver)
  bytes.set(tip, 4)
  return bytes
}

/** An object of a scene, about 500 bytes as JSON. */
export const objectOf = (index, ver) => ({
  id: idOf(index),
  ver,
  position: [index * 0.125, ver * 0.5, -index * 0.25],
  rotation: [0, 0.7071, 0, 0.7071],
  owner: `player-${index % 64}`,
  tags: ['solid', 'movable', 'saved'],
  note: `${index} ${ver} `.padEnd(300, 'abcdefghijklmnopqrstuvwxyz'),
})

/** Entities for curves of growth. */

/** 26 characters, like a ULID. */
export const idOf = (index) => `01JGROWS${String(index).padStart(18, '0')}`

/** A CID of content that lies elsewhere. */
function tipOf(index, ver) {
  const tip = new Uint8Array(36)
  tip.set([1, 0x71, 0x12, 0x20])
  const view = new DataView(tip.buffer)
  view.setUint32(4, index)
  view.setUint32(8, ver)
  return tip
}

export function* entries(count) {
  for (let i = 0; i < count; i++) yield { pi: idOf(i), ver: 1, tip: tipOf(i, 1) }
}

/** New versions at even distances over all ids. */
export const spread = (count, some) =>
  Array.from({ length: some }, (_, i) => {
    const index = Math.floor((i * count) / some)
    return { pi: idOf(index), tip: tipOf(index, 2) }
  })

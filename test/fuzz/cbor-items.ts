/** The items of a piece of CBOR with their places, by a reader that shares nothing with those it tests. */

export interface CborItem {
  readonly start: number
  /** Behind the head: where the content, or the first child, begins. */
  readonly body: number
  readonly end: number
  readonly major: number
  readonly value: number
  readonly children: readonly CborItem[]
}

const MOST_ITEMS = 20_000
const DEEPEST = 400

/** The item that `bytes` are; undefined for what is none, or is followed by something. */
export function cborTree(bytes: Uint8Array): CborItem | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let items = 0
  const head = (at: number): { readonly value: number; readonly body: number } | undefined => {
    const info = view.getUint8(at) & 0x1f
    if (info < 24) return { value: info, body: at + 1 }
    if (info === 24) return { value: view.getUint8(at + 1), body: at + 2 }
    if (info === 25) return { value: view.getUint16(at + 1), body: at + 3 }
    if (info === 26) return { value: view.getUint32(at + 1), body: at + 5 }
    if (info === 27) return { value: Number(view.getBigUint64(at + 1)), body: at + 9 }
    return undefined
  }
  const read = (start: number, depth: number): CborItem | undefined => {
    items += 1
    const major = view.getUint8(start) >> 5
    const read1 = head(start)
    if (read1 === undefined || items > MOST_ITEMS || depth > DEEPEST) return undefined
    const { value, body } = read1
    if (major === 0 || major === 1 || major === 7)
      return { start, body, end: body, major, value, children: [] }
    if (major === 2 || major === 3) {
      if (body + value > bytes.length) return undefined
      return { start, body, end: body + value, major, value, children: [] }
    }
    const count = major === 6 ? 1 : major === 5 ? value * 2 : value
    if (count > bytes.length) return undefined
    const children: CborItem[] = []
    let end = body
    for (let i = 0; i < count; i++) {
      const child = read(end, depth + 1)
      if (child === undefined) return undefined
      children.push(child)
      end = child.end
    }
    return { start, body, end, major, value, children }
  }
  try {
    const item = read(0, 0)
    return item?.end === bytes.length ? item : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** An item and all in it, outer ones first. */
export function* allItems(item: CborItem): Generator<CborItem> {
  yield item
  for (const child of item.children) yield* allItems(child)
}

/** The head of an item in its shortest form. */
export function cborHead(major: number, value: number): Buffer {
  const to = Buffer.alloc(9)
  const first = major << 5
  if (value < 24) return Buffer.of(first | value)
  if (value < 0x100) return Buffer.of(first | 24, value)
  if (value < 0x1_0000) {
    to[0] = first | 25
    to.writeUInt16BE(value, 1)
    return to.subarray(0, 3)
  }
  if (value < 2 ** 32) {
    to[0] = first | 26
    to.writeUInt32BE(value, 1)
    return to.subarray(0, 5)
  }
  to[0] = first | 27
  to.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)), 1)
  return to
}

/** What tag 42 holds, in the order of the encoding: the bytes of each CID, with the 0 before them. */
export function taggedLinks(tree: CborItem, bytes: Uint8Array): Uint8Array[] {
  const links: Uint8Array[] = []
  for (const item of allItems(tree)) {
    const [inner] = item.children
    if (item.major === 6 && item.value === 42 && inner?.major === 2)
      links.push(bytes.subarray(inner.body, inner.end))
  }
  return links
}

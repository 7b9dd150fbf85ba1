/**
 * What bytes are, by looking at them: a picture, text, or neither. SVG is text: a few kilobytes of it can be
 * made to take for ever to draw, also in an <img>.
 */

export type Sniffed =
  | { readonly kind: 'image'; readonly type: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'other' }

/** Where the sign lies, and the sign itself in Latin-1. */
const SIGNS: readonly (readonly [type: string, at: number, sign: string])[] = [
  ['image/png', 0, '\u0089PNG\r\n\u001a\n'],
  ['image/jpeg', 0, '\u00ff\u00d8\u00ff'],
  ['image/gif', 0, 'GIF8'],
  ['image/webp', 8, 'WEBP'],
  ['image/avif', 4, 'ftypavif'],
  ['image/bmp', 0, 'BM\u0000'],
]

/** Other controls than ends of lines and tabs are not in what people write. */
const NOT_TEXT = /[\u0000-\u0008\u000b\u000e-\u001a\u001c-\u001f]/

/** `cut`: there are more bytes, and the last character may be in pieces. */
export function sniff(bytes: Uint8Array, cut: boolean): Sniffed {
  const head = String.fromCharCode(...bytes.subarray(0, 32))
  const found = SIGNS.find(([, at, sign]) => head.startsWith(sign, at))
  if (found !== undefined) return cut ? { kind: 'other' } : { kind: 'image', type: found[0] }
  const text = textOf(bytes, cut)
  return text === undefined ? { kind: 'other' } : { kind: 'text', text }
}

function textOf(bytes: Uint8Array, cut: boolean): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut })
    return NOT_TEXT.test(text) ? undefined : text
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

const ROW = 16

/** As hexadecimal dumps are: place, bytes, and what is printable of them. */
export function hexDump(bytes: Uint8Array): string {
  const rows: string[] = []
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = [...bytes.subarray(at, at + ROW)]
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.'))
    rows.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(ROW * 3)} ${text.join('')}`)
  }
  return rows.join('\n')
}

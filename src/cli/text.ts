/** Text as a terminal shows it: wide characters take two columns, combining ones none. */

const COMBINING = /^[\p{Mn}\p{Me}\p{Cf}]$/u
/** East Asian wide and full-width characters, and pictures. */
const WIDE =
  /^[\u1100-\u115F\u231A\u231B\u2329\u232A\u23E9-\u23EC\u23F0\u23F3\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{16FE0}-\u{18CFF}\u{1AFF0}-\u{1B2FF}\u{1F200}-\u{1F2FF}\u{20000}-\u{3FFFD}]$|^\p{Emoji_Presentation}$/u

const parts = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Of what people see as one character. */
function columnsOf(grapheme: string): number {
  let widest = 0
  for (const character of grapheme) {
    const columns = COMBINING.test(character) ? 0 : WIDE.test(character) ? 2 : 1
    widest = Math.max(widest, columns)
  }
  // A sign that is told to be shown as a picture.
  return grapheme.includes('\uFE0F') ? 2 : widest
}

const PLAIN = /^[\u0020-\u007E]*$/

export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length
  let width = 0
  for (const { segment } of parts.segment(text)) width += columnsOf(segment)
  return width
}

/** What fits in `width` columns; an ellipsis (or `~`) stands for the rest. */
export function cut(text: string, width: number | undefined, ellipsis = '…'): string {
  if (width === undefined || textWidth(text) <= width) return text
  let kept = ''
  let left = width - 1
  for (const { segment } of parts.segment(text)) {
    left -= columnsOf(segment)
    if (left < 0) break
    kept += segment
  }
  return width <= 0 ? '' : kept + ellipsis
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)))
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - textWidth(text))) + text
}

/** In lines of at most `width` columns, cut between words; the last of `most` has all that is left. */
export function wrap(text: string, width: number, most: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    const longer = line === undefined ? word : `${line} ${word}`
    const fits = textWidth(longer) <= width || lines.length >= most
    if (line !== undefined && fits) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}

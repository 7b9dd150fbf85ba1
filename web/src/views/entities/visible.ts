/**
 * Text that came from outside, for eyes: what cannot be seen, or would change how its neighbours look, is named
 * by its number. Nothing else is touched.
 */

export interface Piece {
  readonly text: string
  /** It stands for a character that is not shown as itself. */
  readonly named: boolean
}

/**
 * Controls, what directs the direction of text, what has no width, separators of lines, tags, lone surrogates;
 * and of marks on one letter those beyond any writing, which cover the lines around them and take long to draw.
 */
const UNSEEN =
  /[\p{Cc}\p{Cf}\u2028\u2029\u115f\u1160\u3164\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]|\p{Cs}|(?<=\p{M}{16})\p{M}/gu
const LINES = /^[\n\t\r]$/

/** With `lines`, ends of lines and tabs stay what they are. */
export function visiblePieces(text: string, { lines = false } = {}): readonly Piece[] {
  const pieces: Piece[] = []
  let plainFrom = 0
  for (const { 0: char, index } of text.matchAll(UNSEEN)) {
    if (lines && LINES.test(char)) continue
    if (index > plainFrom) pieces.push({ text: text.slice(plainFrom, index), named: false })
    pieces.push({ text: nameOf(char), named: true })
    plainFrom = index + char.length
  }
  if (plainFrom < text.length) pieces.push({ text: text.slice(plainFrom), named: false })
  return pieces
}

const nameOf = (char: string): string =>
  `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`

/** For names of files and titles, in one line. */
export const visibleText = (text: string): string => joined(visiblePieces(text))

export const joined = (pieces: readonly Piece[]): string =>
  pieces.map((piece) => (piece.named ? `[${piece.text}]` : piece.text)).join('')

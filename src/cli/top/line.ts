/** A line of the screen: parts with a tone, cut to a width before they are coloured. */
import { cut, textWidth } from '../text.ts'

export type Tone =
  'plain' | 'strong' | 'faint' | 'good' | 'warn' | 'bad' | 'good-sign' | 'warn-sign' | 'bad-sign'

export type Part = readonly [text: string, tone?: Tone]

export type Line = readonly Part[]

export const lineWidth = (line: Line): number =>
  line.reduce((sum, [text]) => sum + textWidth(text), 0)

export function fitLine(line: Line, width: number, ellipsis: string): Line {
  if (lineWidth(line) <= width) return line
  const kept: Part[] = []
  let left = width
  for (const [text, tone = 'plain'] of line) {
    const wide = textWidth(text)
    if (wide < left) kept.push([text, tone])
    else {
      kept.push([cut(`${text} `, left, ellipsis), tone])
      break
    }
    left -= wide
  }
  return kept
}

/** `left` and, if there is room, `right` at the other end. */
export function spread(left: Line, right: Line, width: number): Line {
  const gap = width - lineWidth(left) - lineWidth(right)
  if (gap < 2 || !Number.isFinite(width)) return left
  return [...left, [' '.repeat(gap)], ...right]
}

export function padLine(line: Line, width: number): Line {
  return [...line, [' '.repeat(Math.max(0, width - lineWidth(line)))]]
}

const CODES: Readonly<Record<Tone, string>> = {
  plain: '',
  strong: '1',
  faint: '2',
  good: '32',
  warn: '33',
  bad: '31',
  'good-sign': '30;42',
  'warn-sign': '30;43',
  'bad-sign': '97;41',
}

export function paint(line: Line, color: boolean): string {
  return line
    .map(([text, tone = 'plain']) =>
      !color || tone === 'plain' ? text : `\u001B[${CODES[tone]}m${text}\u001B[0m`,
    )
    .join('')
    .trimEnd()
}

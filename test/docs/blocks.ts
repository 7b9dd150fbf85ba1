/** The blocks of code in a document: which are run, which are files, what is said about the others. */

export interface Block {
  readonly language: string
  readonly code: string
  /** Of the fence, from 1. */
  readonly line: number
  /** The heading it stands under. */
  readonly chapter: string
  /** `<!-- not run: WHY -->` before it. */
  readonly notRun: string | undefined
  /** `<!-- file: NAME -->` before it: the reader is told to keep it as that. */
  readonly file: string | undefined
  /** The block of text right behind it: what it prints. */
  readonly prints: string | undefined
}

const FENCE = /^( *)```(\w*)[^\n]*\n([^]*?)^\1```/gm
const NOTE = /<!-- (not run|file): ([^>]*?) -->\s*$/

export function blocksOf(page: string): Block[] {
  const found = [...page.matchAll(FENCE)]
  return found.map((match, n) => {
    const [all, indent = '', language = '', code = ''] = match
    const note = NOTE.exec(page.slice(0, match.index))
    const next = found[n + 1]
    const between = page.slice(match.index + all.length, next?.index)
    const follows = next?.[2] === 'text' && between.trim() === ''
    return {
      language,
      code: outdent(code, indent),
      line: page.slice(0, match.index).split('\n').length,
      chapter: chapterAt(page, match.index),
      notRun: note?.[1] === 'not run' ? note[2] : undefined,
      file: note?.[1] === 'file' ? note[2] : undefined,
      prints: follows && language === 'sh' ? outdent(next[3] ?? '', next[1] ?? '') : undefined,
    }
  })
}

function chapterAt(page: string, at: number): string {
  const text = page.slice(0, at).replaceAll(FENCE, '')
  return [...text.matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? ''
}

const outdent = (code: string, indent: string): string =>
  code.replaceAll(new RegExp(`^${indent}`, 'gm'), '')

/** What a reader types: shell that is neither a file nor marked as not run. */
export const isRun = ({ language, notRun, file }: Block): boolean =>
  language === 'sh' && notRun === undefined && file === undefined

/** The commands of a block, by a count of its lines that are no comment and continue none. */
export function commandCount(code: string): number {
  const lines = code
    .replaceAll(/<<'?(\w+)'?\n[^]*?^\1$/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
  return lines.filter((line) => /^\s*[^\s#}]/.test(line) && !/^\s*(done|fi|do|then)\b/.test(line))
    .length
}

/** Whether `actual` is as the document shows it: `...` stands for anything, alone on a line for any lines. */
export function asShown(shown: string, actual: string): boolean {
  const pattern = shown
    .trimEnd()
    .split('\n')
    .map((line) => (line.trim() === '...' ? '[^]*?' : lineLike(line)))
    .join('\n')
    .replaceAll('[^]*?\n', '(?:[^]*?\n)?')
    .replaceAll('\n[^]*?', '(?:\n[^]*?)?')
  return new RegExp(`^${pattern}$`).test(actual.trimEnd())
}

const lineLike = (line: string): string =>
  line
    .split('...')
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*')

/** What verifying has found, in a sentence. Pure. */
import type { CarProblem, CarVerification } from '../../car/protocol.ts'
import type { Level } from '../../ui/card.tsx'
import { bytesText, countText, pluralText } from '../../ui/format.ts'

export interface Verdict {
  readonly level: Level
  readonly headline: string
  readonly detail: string
}

export function verdictOf(report: CarVerification): Verdict {
  const { verdict, sections, bytes, states } = report
  if (verdict === 'damaged') {
    return {
      level: 'critical',
      headline: `Damaged: ${placeText(report)}`,
      detail:
        report.problems[0]?.code === 'format_unsupported'
          ? 'It may be of a newer version of Cairn, which this one does not know.'
          : 'Take another copy of the file, or make a new export.',
    }
  }
  if (verdict === 'incomplete') {
    return {
      level: 'critical',
      headline: `Not whole: ${pluralText(report.problemCount, 'block is', 'blocks are')} missing`,
      detail:
        'What is there is sound. Take another copy of the file; a delta needs its base beside it.',
    }
  }
  const proved = `${pluralText(sections, 'block')} proved`
  if (states.some(({ scope }) => scope === 'delta')) {
    return {
      level: 'warning',
      headline: `Whole as far as it goes: ${proved}`,
      detail:
        'It is a delta: what it has itself is sound. Open its base with it, and all is proved.',
    }
  }
  return {
    level: 'ok',
    headline: `Whole: ${proved}`,
    detail: `All ${bytesText(bytes)} were read and proved by their hashes, and nothing is missing.`,
  }
}

/** The first problem by its place, and how many there are besides. */
function placeText({ problems, problemCount }: CarVerification): string {
  const [first] = problems
  if (first === undefined || (first.cid === null && first.offset === null))
    return pluralText(problemCount, 'problem')
  const what = first.cid === null ? 'the file' : `the block …\u2060${first.cid.slice(-6)}`
  const where = first.offset === null ? '' : ` at offset ${countText(first.offset)}`
  const rest = problemCount - 1
  return `${what}${where}${rest === 0 ? '' : `, and ${pluralText(rest, 'more problem', 'more problems')}`}`
}

/** What helps against problems of that kind, beside another copy. */
export function hintFor({ code }: CarProblem): string | undefined {
  if (code === 'block_missing') return 'If it is a delta, open its base with it.'
  if (code === 'content_missing') return 'The dataset may have it, or a CAR with all content.'
  return undefined
}

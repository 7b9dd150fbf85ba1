/** The tips of encoded entries, and the proof that they have the form their dataset says. */
import { NULL_BYTE, Scanner } from '../model/cbor.ts'
import type { CidBytes } from '../model/cid.ts'
import type { ContentMode, Entry } from '../model/entry.ts'
import type { Run } from '../model/run.ts'

const LINK_BYTE = 0xd8

/**
 * Calls `take` with the tip of every entry that has one. A tip that is a Link where the content is
 * external, or no Link where it is linked, is an `invalid_block`.
 */
export function eachTip(run: Run, content: ContentMode, take: (tip: CidBytes) => void): void {
  const scanner = new Scanner(run.bytes, 0, 'leaf')
  for (let i = 0; i < run.count; i++) {
    scanner.at = run.starts[i] ?? 0
    scanner.arrayHead()
    scanner.text()
    scanner.uint()
    const first = run.bytes[scanner.at]
    if (first === NULL_BYTE) continue
    if ((first === LINK_BYTE) !== (content === 'linked')) {
      scanner.fail(`its dataset's content is ${content}, but a tip in it is not`)
    }
    if (content !== 'linked') continue
    scanner.link()
    take(scanner.copySpan())
  }
}

export function tipsOf(entries: readonly Entry[]): CidBytes[] {
  return entries.flatMap(({ tip }) => (tip === null ? [] : [tip]))
}

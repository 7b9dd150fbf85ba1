/** Globs over names: patterns as people write them, without a regular expression that they could make slow. */

/** Whether all of `text` is as the glob says: `*` is any text, `?` any one character. */
export function matchesGlob(glob: string, text: string): boolean {
  const [pattern, chars] = [Array.from(glob), Array.from(text)]
  let [at, star, back] = [0, -1, 0]
  for (let i = 0; i < chars.length;) {
    if (pattern[at] === '*') {
      star = at++
      back = i
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === chars[i])) {
      at += 1
      i += 1
    } else if (star >= 0) {
      // The star takes one character more.
      at = star + 1
      i = ++back
    } else return false
  }
  return pattern.slice(at).every((one) => one === '*')
}

/** How deep JSON is nested, told before it is read: parsers, validators and encoders call themselves for each level. */

const QUOTE = 34
const BACKSLASH = 92

/** Whether the text goes below `most` levels. Of text that is no JSON the answer means nothing. */
export function isDeeper(text: string, most: number): boolean {
  if (text.length <= most) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === QUOTE) i = endOfString(text, i)
    // [ and {, ] and }
    else if (char === 91 || char === 123) {
      if (++depth > most) return true
    } else if (char === 93 || char === 125) depth--
  }
  return false
}

function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return at
  }
  return text.length
}

/**
 * How deep JSON is nested, and how much there is in it, told before it is read: parsers, validators and encoders
 * call themselves for each level, and make an object or a name of every few bytes.
 */

const QUOTE = 34
const COMMA = 44
const COLON = 58
const BACKSLASH = 92

export interface JsonLimits {
  readonly levels: number
  /** As many bytes as its keys and values take at least in a block: a value one, a key and its value three. */
  readonly weight: number
}

/** Which limit the text is above. Of text that is no JSON the answer means nothing. */
export function excessOf(text: string, most: JsonLimits): keyof JsonLimits | undefined {
  let depth = 0
  let weight = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === QUOTE) i = endOfString(text, i)
    else if (char === COMMA) weight++
    else if (char === COLON) weight += 2
    // [ and {, ] and }
    else if (char === 91 || char === 123) {
      if (++depth > most.levels) return 'levels'
      // Of what is in it the first has no comma before it. The code of an end is two above that of its begin.
      if (text.charCodeAt(i + 1) !== char + 2) weight++
    } else if (char === 93 || char === 125) depth--
    if (weight > most.weight) return 'weight'
  }
  return undefined
}

function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return at
  }
  return text.length
}

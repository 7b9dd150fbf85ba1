/** The texts of CIDs of sha2-256 as a pattern, so tight that hardly anything else passes. */

/** Version 1 in base32: of raw, dag-pb and dag-cbor, and of dag-json. */
const VERSION_1 = ['baf(?:krei|ybei|yrei)[a-h][a-z2-7]{50}[aeimquy4]', 'baguqeera[a-z2-7]{51}[aq]']

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const ANY = '[1-9A-HJ-NP-Za-km-z]'

/** Version 0 is a number in base58 whose first two bytes are fixed: all between the text of the least and the greatest. */
const LEAST = 'NLei78zWmz'
const GREATEST = 'fZy5bvk7a3'
const CHARS_AFTER_QM = 44

/** All texts of `left` characters that are not beyond `bound`, which is told by its first ones. */
function bounded(bound: string, left: number, beyond: 'below' | 'above'): string {
  const [first] = bound
  if (first === undefined) return `${ANY}{${left}}`
  const at = BASE58.indexOf(first)
  const within = beyond === 'below' ? BASE58.slice(at + 1) : BASE58.slice(0, at)
  const rest = bounded(bound.slice(1), left - 1, beyond)
  return within === '' ? `${first}${rest}` : `(?:${first}${rest}|[${within}]${ANY}{${left - 1}})`
}

const between = BASE58.slice(BASE58.indexOf('N') + 1, BASE58.indexOf('f'))
const left = CHARS_AFTER_QM - 1
const VERSION_0 = [
  `N${bounded(LEAST.slice(1), left, 'below')}`,
  `[${between}]${ANY}{${left}}`,
  `f${bounded(GREATEST.slice(1), left, 'above')}`,
]

export const CID_PATTERN: string = [...VERSION_1, `Qm(?:${VERSION_0.join('|')})`].join('|')

/** Keeping secrets out of everything that is shown. */

const MASK = '***'
const URL_USER = /(\b[a-z][a-z0-9+.-]*:\/\/)([^/?#\s@]*)@/gi
/** A shorter text would be found in half of all words. */
const SHORTEST = 4

/** A text with the `user:password@` of every address in it masked. */
export function maskUrls(text: string): string {
  return text.replaceAll(URL_USER, `$1${MASK}@`)
}

/** A function that masks the given secrets, and those in addresses, wherever they stand in a text. */
export function redactor(secrets: readonly (string | null)[]): (text: string) => string {
  const parts = new Set<string>()
  for (const secret of secrets) {
    if (secret === null) continue
    const [scheme = '', ...rest] = secret.split(':')
    const bare = scheme === 'bearer' || scheme === 'basic' ? rest.join(':') : secret
    for (const part of [secret, bare, rest.at(-1) ?? '', Buffer.from(bare).toString('base64')]) {
      if (part.length >= SHORTEST) parts.add(part)
    }
  }
  const longestFirst = [...parts].sort((a, b) => b.length - a.length)
  return (text) => longestFirst.reduce((so, part) => so.replaceAll(part, MASK), maskUrls(text))
}

export function maskSecret(value: string | null): string | null {
  return value === null ? null : MASK
}

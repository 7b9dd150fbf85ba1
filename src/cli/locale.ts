/** Which signs the terminal can show. */

type Environment = Readonly<Record<string, string | undefined>>

/** As the C library reads it: the first of these that is not empty counts. */
export function isUtf8(env: Environment = process.env): boolean {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((one) => (one ?? '') !== '')
  return /utf-?8/i.test(locale ?? '')
}

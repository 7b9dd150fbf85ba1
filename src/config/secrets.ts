/** Keeping secrets out of everything that is shown. */
import type { Values } from './schema.ts'

const MASK = '***'
const URL_USER = /\b([a-z][a-z0-9+.-]*:\/\/)([^/?#\s@]*)@/gi
/** A shorter text would be found in half of all words. */
const SHORTEST = 4

/** A text with the `user:password@` of every address in it masked. */
export function maskUrls(text: string): string {
  return text.replaceAll(URL_USER, `$1${MASK}@`)
}

/** A function that masks the secrets among the settings wherever they stand in a text. */
export function redactor(
  values: Pick<
    Values,
    'kubo_token' | 'kubo_url' | 'cluster_token' | 'cluster_url' | 'store' | 'alert_webhook'
  >,
): (text: string) => string {
  const parts = [
    ...tokenParts(values.kubo_token ?? ''),
    ...urlParts(values.kubo_url),
    ...tokenParts(values.cluster_token ?? ''),
    ...urlParts(values.cluster_url ?? ''),
    ...urlParts(values.store),
    ...hookParts(values.alert_webhook ?? ''),
  ]
  const forms = new Set(
    parts
      .filter((part) => part.length >= SHORTEST)
      .flatMap((part) => [
        part,
        JSON.stringify(part).slice(1, -1),
        Buffer.from(part).toString('base64'),
      ]),
  )
  const longestFirst = [...forms].sort((a, b) => b.length - a.length)
  return (text) => longestFirst.reduce((so, part) => so.replaceAll(part, MASK), maskUrls(text))
}

/** Of `basic:USER:PASSWORD` both the pair and the password alone. */
function tokenParts(token: string): string[] {
  const [scheme = '', ...rest] = token.split(':')
  if (scheme !== 'bearer' && scheme !== 'basic') return [token]
  return [rest.join(':'), rest.slice(1).join(':')]
}

function urlParts(url: string): string[] {
  return [...url.matchAll(URL_USER)].flatMap(([, , user = '']) => {
    const [, ...password] = user.split(':')
    return [user, password.join(':'), decoded(password.join(':'))]
  })
}

/** Whoever knows the path of a webhook may post to it. */
function hookParts(url: string): string[] {
  const path = url.replace(/^[a-z]+:\/\/[^/?#]*/i, '')
  return [url, ...urlParts(url), ...(path.length > 1 ? [path] : [])]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function maskSecret(value: string | null): string | null {
  return value === null ? null : MASK
}

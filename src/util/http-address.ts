/** The address of a server and its secret, kept apart: no message and no location ever names a secret. */
import { CairnError } from '../errors.ts'

export interface HttpAddress {
  /** Without user and password. */
  readonly url: URL
  readonly authorization: string | undefined
}

/** For messages: what is there, and what such an address looks like. */
interface Server {
  readonly name: string
  readonly hint: string
}

/**
 * `token`: `bearer:TOKEN`, `basic:USER:PASSWORD` or `basic:BASE64`; without a scheme it is a bearer token. A
 * user and password in the URL do as well.
 */
export function httpAddress(text: string, token: string | undefined, server: Server): HttpAddress {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw badAddress(server, 'it does not parse')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw badAddress(server, 'it is not HTTP')
  const { username, password } = url
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  if (token !== undefined) return { url, authorization: authorizationOf(token) }
  if (username === '' && password === '') return { url, authorization: undefined }
  const [user, secret] = [decoded(username, server), decoded(password, server)]
  return { url, authorization: basic(`${user}:${secret}`) }
}

function decoded(text: string, server: Server): string {
  try {
    return decodeURIComponent(text)
  } catch {
    const why = 'a "%" in its user or password stands for itself, and is written %25'
    throw badAddress(server, why)
  }
}

function authorizationOf(token: string): string {
  const [scheme, ...rest] = token.split(':')
  if (scheme === 'bearer') return `Bearer ${rest.join(':')}`
  if (scheme !== 'basic') return `Bearer ${token}`
  return rest.length > 1 ? basic(rest.join(':')) : `Basic ${rest.join('')}`
}

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`

function badAddress({ name, hint }: Server, why: string): CairnError {
  return new CairnError('config', `The address of the ${name} is no good: ${why}.`, { hint })
}

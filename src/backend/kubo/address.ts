/** The node's address and secrets, kept apart: no message and no location ever names a secret. */
import { CairnError } from '../../errors.ts'

export interface NodeAddress {
  /** Without user and password. */
  readonly url: URL
  readonly authorization: string | undefined
}

/**
 * `token` as in the `AuthSecret` of Kubo's `API.Authorizations`: `bearer:TOKEN`, `basic:USER:PASSWORD`,
 * `basic:BASE64`; without a scheme it is a bearer token. A user and password in the URL do as well.
 */
export function nodeAddress(text: string, token: string | undefined): NodeAddress {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw badAddress('it does not parse')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw badAddress('it is not HTTP')
  const { username, password } = url
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  if (token !== undefined) return { url, authorization: authorizationOf(token) }
  if (username === '' && password === '') return { url, authorization: undefined }
  return { url, authorization: basic(`${decoded(username)}:${decoded(password)}`) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw badAddress('a "%" in its user or password stands for itself, and is written %25')
  }
}

function authorizationOf(token: string): string {
  const [scheme, ...rest] = token.split(':')
  if (scheme === 'bearer') return `Bearer ${rest.join(':')}`
  if (scheme !== 'basic') return `Bearer ${token}`
  return rest.length > 1 ? basic(rest.join(':')) : `Basic ${rest.join('')}`
}

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`

function badAddress(why: string): CairnError {
  return new CairnError('config', `The address of the Kubo node is no good: ${why}.`, {
    hint: 'It looks like http://127.0.0.1:5001 (Addresses.API in the config of the node).',
  })
}

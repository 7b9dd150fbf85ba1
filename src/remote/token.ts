/** Tokens for services, from outside; and what services say, which is shown without them. */
import { CairnError } from '../errors.ts'

/** Of those who are given no file with one. */
export function tokenOfEnvironment(): string | undefined {
  return checkedToken(process.env['CAIRN_TOKEN'] ?? '')
}

/** What cannot be sent would be told in the error that says so. */
export function checkedToken(text: string): string | undefined {
  const token = text.trim()
  if (token === '') return undefined
  if (/^[\w.~+/=-]{1,512}$/.test(token)) return keepSecret(token)
  throw new CairnError('usage', 'What is given as the token is none.', {
    hint: 'Give it as `cairn token create` prints it, by --token-file or CAIRN_TOKEN.',
  })
}

/** A shorter text would be found in half of all words. */
const SHORTEST = 4
/** So much of a token is taken for it: who quotes an answer may cut it off. */
const BEGINNING = 12

const secrets = new Map<string, RegExp>()

/** The token, which `shown` masks from now on, also as it is written in addresses and in base64. */
export function keepSecret(token: string): string {
  if (token.length < SHORTEST) return token
  for (const form of [token, encodeURIComponent(token), Buffer.from(token).toString('base64')]) {
    const beginning = form.slice(0, BEGINNING)
    const literally = beginning.replaceAll(/\W/g, String.raw`\$&`)
    secrets.set(beginning, new RegExp(`${literally}[\\w.~+/=%-]*`, 'g'))
  }
  return token
}

/**
 * A text from a service, or of someone in between, as it may stand in a log: on one line, without control characters,
 * and without the tokens of this process, which the service may have been sent. Characters go first, since a token
 * would come together when one goes out of its middle.
 */
export function shown(text: string): string {
  let plain = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, '')
  for (const secret of secrets.values()) plain = plain.replaceAll(secret, '***')
  return plain
}

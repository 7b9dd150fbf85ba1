/** Services by their addresses, and the token for them. */
import { CairnError } from '../errors.ts'

export const isService = (name: string): boolean => /^https?:/.test(name)

/** Secrets do not belong on a command line, where everybody on the machine may read them. */
export function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain =
    url?.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (isPlain && /^https?:$/.test(url.protocol)) return text.replace(/\/+$/, '')
  throw new CairnError('usage', 'That is no address of a service.', {
    hint: 'Give one such as http://127.0.0.1:3000; a token comes from --token-file or CAIRN_TOKEN.',
  })
}

/** Of those who are given no file with one. */
export function tokenOfEnvironment(): string | undefined {
  return checkedToken(process.env['CAIRN_TOKEN'] ?? '')
}

/** What cannot be sent would be told in the error that says so. */
export function checkedToken(text: string): string | undefined {
  const token = text.trim()
  if (token === '') return undefined
  if (/^[\w.~+/=-]{1,512}$/.test(token)) return token
  throw new CairnError('usage', 'What is given as the token is none.', {
    hint: 'Give it as `cairn token create` prints it, by --token-file or CAIRN_TOKEN.',
  })
}

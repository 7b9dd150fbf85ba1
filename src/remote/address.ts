/** Services by their addresses. */
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

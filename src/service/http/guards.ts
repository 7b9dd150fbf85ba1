/**
 * What keeps web pages away from a service that is open to the machine it runs on. A page of any site may
 * send requests to a loopback address: under a name of its own that leads there (DNS rebinding), or blindly
 * (cross-site). Neither matters where a token is asked for.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { CairnError } from '../../errors.ts'

const LOOPBACK_NAME = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

export function isLoopback(host: string): boolean {
  return LOOPBACK_NAME.test(host) || host === '::1'
}

/** Without the port, as a URL has it. */
function hostname(authority: string): string {
  return authority.replace(/:\d+$/, '').toLowerCase()
}

/** Node takes the first of these, others before us may take the last. Headers and values take turns. */
export function refuseTwice(rawHeaders: readonly string[]): void {
  const seen = { host: false, authorization: false, 'content-type': false }
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    // Of most headers the length alone tells.
    if (name.length !== 4 && name.length !== 12 && name.length !== 13) continue
    const one = name.toLowerCase()
    if (one !== 'host' && one !== 'authorization' && one !== 'content-type') continue
    if (seen[one]) {
      throw new CairnError('usage', `The header ${name} was sent twice.`, { hint: 'Send it once.' })
    }
    seen[one] = true
  }
}

/** Refuses what cannot come from a program that was told this address. */
export function guardOpen(
  method: string,
  headers: IncomingHttpHeaders,
  configured: string,
  origins: readonly string[],
): void {
  const host = hostname(headers.host ?? '')
  if (!isLoopback(host) && host !== configured.toLowerCase()) {
    throw new CairnError('access_denied', 'The header Host names another machine.', {
      hint: 'Without tokens the service is for programs on this machine: call it by its loopback address.',
    })
  }
  const { origin } = headers
  if (SAFE.has(method) || origin === undefined || origins.includes(origin)) return
  if (origin === `http://${headers.host ?? ''}` || origin === `https://${headers.host ?? ''}`)
    return
  throw new CairnError('access_denied', 'Pages of other sites may not change anything here.', {
    hint: 'List the origin in cors_origins if its pages may.',
  })
}

/** Where the service may listen: whoever can reach it is known, or is on this machine. */
import { CairnError } from '../../errors.ts'
import type { Values } from '../../config/schema.ts'
import { isLoopback } from '../http/guards.ts'

type Listening = Pick<Values, 'host' | 'tls_cert' | 'tls_key' | 'behind_proxy'>

/** Throws `config` unless the address is of this machine alone, or asks for tokens over TLS. */
export function checkListening(
  { host, tls_cert, tls_key, behind_proxy }: Listening,
  hasToken: boolean,
): void {
  if ((tls_cert === null) !== (tls_key === null)) {
    throw new CairnError('config', 'Of the settings tls_cert and tls_key only one is given.', {
      hint: 'Give both, or none.',
    })
  }
  // What listens for this machine alone is handed on to others by a proxy.
  if (behind_proxy === 'yes' && !hasToken) {
    throw new CairnError('config', 'Behind a proxy the service needs a token.', {
      hint: '`cairn token create NAME --right admin` makes one.',
    })
  }
  if (isLoopback(host)) return
  const beyond = `To listen on ${host}, which other machines can reach,`
  if (!hasToken) {
    throw new CairnError('config', `${beyond} the service needs a token.`, {
      hint: '`cairn token create NAME --right admin` makes one; or listen on 127.0.0.1.',
    })
  }
  if (tls_cert !== null || behind_proxy === 'yes') return
  throw new CairnError(
    'config',
    `${beyond} the service needs TLS, or tokens could be read on the way.`,
    {
      hint: 'Give --tls-cert and --tls-key, or --behind-proxy where a proxy has the TLS.',
    },
  )
}

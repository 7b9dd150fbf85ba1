/** The address of a node's RPC; the secret is as in the `AuthSecret` of Kubo's `API.Authorizations`. */
import { httpAddress, type HttpAddress } from '../../util/http-address.ts'

export function nodeAddress(text: string, token: string | undefined): HttpAddress {
  return httpAddress(text, token, {
    name: 'Kubo node',
    hint: 'It looks like http://127.0.0.1:5001 (Addresses.API in the config of the node).',
  })
}

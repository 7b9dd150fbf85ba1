/** A proxy before a node, in which a test can lose or hold back requests. Loopback only. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface NodeProxy {
  readonly url: string
  /** Every command with its arguments, in the order in which they came: `files/cp /ipfs/... /x`. */
  readonly seen: string[]
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * What becomes of a request: `pass`, or `lose` (the node does not get it and the caller gets no
 * answer), or `mute` (the node gets it, and the caller gets no answer). May wait before it says.
 */
export type Fate = 'pass' | 'lose' | 'mute'

export async function startNodeProxy(
  target: string,
  decide: (call: string) => Fate | Promise<Fate>,
): Promise<NodeProxy> {
  const seen: string[] = []
  const agent = new http.Agent({ keepAlive: true })
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '', target)
    const command = url.pathname.replace('/api/v0/', '')
    const call = [command, ...url.searchParams.getAll('arg')].join(' ')
    seen.push(call)
    const handle = async (): Promise<void> => {
      const fate = await decide(call)
      if (fate === 'lose') return void response.destroy()
      const { method, headers } = request
      const onward = http.request(url, { method, headers, agent })
      onward.on('error', () => response.destroy())
      // Who leaves has left the node, too.
      if (fate === 'pass') response.on('close', () => onward.destroy())
      onward.on('response', (answer) => {
        if (fate === 'mute') {
          answer.resume().on('end', () => response.destroy())
          return
        }
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
      request.pipe(onward)
    }
    void handle()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    server.close()
    server.closeAllConnections()
    agent.destroy()
    await once(server, 'close')
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close,
    [Symbol.asyncDispose]: close,
  }
}

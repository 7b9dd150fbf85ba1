/** What a process asks of a server over HTTP, counted where Node sends it and not where Cairn says so. */
import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'

/** Of a bucket by what is paid for; of a node all are `put`, for its RPC knows POST alone. */
export interface Requests {
  readonly kinds: Readonly<Record<string, number>>
  readonly bytesIn: number
  readonly bytesOut: number
}

/** Counts from now on; what it returns says what was counted so far. */
export function countRequests(): () => Requests {
  const kinds: Record<string, number> = {}
  const sockets = new Set<Socket>()
  subscribe('http.client.request.start', (message) => {
    const { request } = message as { readonly request: ClientRequest }
    const kind = kindOf(request.method, request.path)
    kinds[kind] = (kinds[kind] ?? 0) + 1
    if (request.socket === null) request.once('socket', (socket) => sockets.add(socket))
    else sockets.add(request.socket)
  })
  return () => {
    let [bytesIn, bytesOut] = [0, 0]
    for (const socket of sockets) {
      bytesIn += socket.bytesRead
      bytesOut += socket.bytesWritten
    }
    return { kinds, bytesIn, bytesOut }
  }
}

function kindOf(method: string, path: string): string {
  if (method === 'POST') return /[?&]delete(?:=|&|$)/.test(path) ? 'delete' : 'put'
  if (method === 'GET' && path.includes('list-type=2')) return 'list'
  return method.toLowerCase()
}

/** As `120 get, 3 put; 45 MB in, 0 MB out`. */
export function printRequests({ kinds, bytesIn, bytesOut }: Requests): string {
  const parts = Object.entries(kinds)
    .toSorted(([, a], [, b]) => b - a)
    .map(([kind, count]) => `${count.toLocaleString('en')} ${kind}`)
  return `${parts.join(', ')}; ${megabytes(bytesIn)} in, ${megabytes(bytesOut)} out`
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

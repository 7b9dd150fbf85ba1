/** Servers that play a Kubo node: what a real one cannot be made to do on request. Loopback only. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { expect } from 'vitest'
import { openKubo, type KuboOptions } from '../../src/backend/kubo/index.ts'
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'

export type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void

/** What a test has opened, closed by `closeAll` in the opposite order. */
export interface FakeNodes {
  readonly defer: (clean: () => unknown) => void
  /** Listens on loopback, at `port` or a free one, and answers with its address. */
  readonly listen: (server: Server, port?: number) => Promise<string>
  /** A node of `version` (0.43.0) that answers everything else with `answer`. */
  readonly start: (answer: Answer, version?: string) => Promise<string>
  readonly open: (url: string, more?: Partial<KuboOptions>) => Promise<Backend>
  readonly closeAll: () => Promise<void>
}

export function fakeNodes(): FakeNodes {
  const cleanups: (() => unknown)[] = []
  const defer = (clean: () => unknown): void => void cleanups.push(clean)
  const listen = async (server: Server, port = 0): Promise<string> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    defer(() => server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  return {
    defer,
    listen,
    start: (answer, version = '0.43.0') => {
      const server = http.createServer((request, response) => {
        request.resume()
        if (request.url === '/api/v0/version') response.end(JSON.stringify({ Version: version }))
        else answer(request, response)
      })
      defer(() => server.closeAllConnections())
      return listen(server)
    },
    open: async (url, more = {}) => {
      const backend = await openKubo({ url, retryMs: 0, openMs: 5_000, ...more })
      defer(() => backend.close())
      return backend
    },
    closeAll: async () => {
      for (const clean of cleanups.splice(0).reverse()) await clean()
    },
  }
}

/** Kubo's way to refuse: 500 and a message. */
export const refusal =
  (message: string): Answer =>
  (_request, response) => {
    response.writeHead(500, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ Message: message, Code: 0, Type: 'error' }))
  }

export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => ({ resolved: value }),
    (error: unknown) => error,
  )
}

export async function expectCode(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  const error = await errorOf(promise)
  expect(isCairnError(error) ? error.code : error).toBe(code)
}

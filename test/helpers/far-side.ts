/** A service that a replica is pushed to, in this process; it can go away and come back on the same store. */
import { onTestFinished } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { blocksOfCar } from '../../src/car/blocks-of.ts'
import { serviceTarget } from '../../src/remote/service-target.ts'
import type { ReplicaTarget } from '../../src/engine/replica/target.ts'
import type { ConnectOptions } from '../../src/client/transport.ts'
import type { Backend } from '../../src/store/backend.ts'
import { wrapBackend } from './counting-backend.ts'
import { incomingSyncRoutes } from '../../src/service/routes/incoming-syncs.ts'
import { ROUTES } from '../../src/service/routes/index.ts'
import { INCOMING_LIMITS, type IncomingLimits } from '../../src/service/requests/incoming-syncs.ts'
import { startService, type ServiceTestOptions, type TestService } from './service.ts'

export interface Sent {
  readonly method: string
  /** Without the ids in it. */
  readonly path: string
  readonly bytes: number
  /** The CIDs of the blocks that it brings, and their sizes. */
  readonly blocks: readonly (readonly [key: string, size: number])[]
}

/** Called before a request goes out, and after its answer came. */
export interface Meddling extends Pick<ConnectOptions, 'retries' | 'token'> {
  readonly before?: (sent: Sent, nth: number) => unknown
  readonly after?: (sent: Sent, nth: number) => unknown
  readonly body?: (body: Uint8Array, sent: Sent) => Uint8Array
}

export interface FarSide {
  readonly backend: Backend
  readonly service: () => TestService
  /** All requests that were sent to it. */
  readonly sent: Sent[]
  readonly restart: () => Promise<void>
  /** As a sender sees it. */
  readonly target: (meddling?: Meddling) => ReplicaTarget
}

export async function farSide({
  incoming,
  ...options
}: ServiceTestOptions & { readonly incoming?: Partial<IncomingLimits> } = {}): Promise<FarSide> {
  const routes = ROUTES.map((one): typeof one =>
    one === incomingSyncRoutes
      ? (service) => incomingSyncRoutes(service, { ...INCOMING_LIMITS, ...incoming })
      : one,
  )
  const inner = options.backend ?? openMemory()
  // It outlives the service, as a folder does.
  const backend = wrapBackend(inner, { close: async () => {} })
  onTestFinished(() => inner.close())
  const start = (): Promise<TestService> =>
    startService({ automation: false, init: null, routes, ...options, backend })
  let running = await start()
  const sent: Sent[] = []
  const target = ({ before, after, body, ...more }: Meddling = {}): ReplicaTarget => {
    let nth = 0
    const send: typeof fetch = async (input, init = {}) => {
      const url = new URL(input instanceof Request ? input.url : input)
      const { body: given } = init
      const bytes = typeof given === 'string' || given instanceof Uint8Array ? given.length : 0
      const path = url.pathname.replace(/\/[0-9a-f]{32}/, '/ID').replace(/\/\d+$/, '/N')
      const one = { method: init.method ?? 'GET', path, bytes, blocks: blocksIn(init) }
      const number = nth++
      await before?.(one, number)
      sent.push(one)
      const changed =
        body !== undefined && init.body instanceof Uint8Array
          ? { ...init, body: body(init.body, one) as NonNullable<RequestInit['body']> }
          : init
      const answer = await fetch(`${running.url}${url.pathname}${url.search}`, changed)
      await after?.(one, number)
      return answer
    }
    return serviceTarget({ url: 'http://far.example', fetch: send, ...more })
  }
  return {
    backend,
    service: () => running,
    sent,
    restart: async () => {
      await running.close()
      running = await start()
    },
    target,
  }
}

/** As a request that never reached anybody ends. */
export const cut = (): never => {
  throw new TypeError('fetch failed', {
    cause: Object.assign(new Error('cut'), { code: 'ECONNRESET' }),
  })
}

function blocksIn({ method, body, headers }: RequestInit): Sent['blocks'] {
  const isCar = new Headers(headers).get('content-type') === 'application/vnd.ipld.car'
  if (method !== 'PUT' || !isCar || !(body instanceof Uint8Array)) return []
  return [...blocksOfCar(body)].map(([key, bytes]) => [key, bytes.length])
}

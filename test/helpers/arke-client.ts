/** A client of the replaced system, on a service that serves its calls. */
import { expect } from 'vitest'
import { printCid } from '../../src/model/cid.ts'
import { arkeRoutes } from '../../src/service/routes/arke.ts'
import { tipOf } from './entries.ts'
import { startService, type Answer, type ServiceTestOptions, type TestService } from './service.ts'

export type Json = Record<string, unknown>

export const MICROSECONDS: RegExp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
export const ENGINE_CID: RegExp = /^bafyrei[a-z2-7]{52}$/

export const anyTime = (): string => expect.stringMatching(MICROSECONDS) as string

export const tip = (text: string): string => printCid(tipOf(text))

export interface ArkeClient extends TestService {
  /** What a call answers that succeeds. */
  readonly get: (path: string) => Promise<Json>
  readonly post: (path: string, body?: unknown) => Promise<Answer>
  /** The CID that it is answered with. */
  readonly append: (pi: string, ver?: number) => Promise<string>
  readonly event: (type: string, pi: string, ver: number) => Promise<Answer>
  readonly build: () => Promise<Uint8Array>
}

export async function startArke(options: ServiceTestOptions = {}): Promise<ArkeClient> {
  const served = await startService({ routes: [arkeRoutes], ...options })
  const { request, service } = served
  const post: ArkeClient['post'] = (path, body) => request('POST', path, body)
  return {
    ...served,
    post,
    get: async (path) => {
      const answer = await request('GET', path)
      expect(answer.status, `${path}: ${answer.text}`).toBe(200)
      return answer.json as Json
    },
    append: async (pi, ver = 1) => {
      const answer = await post('/chain/append', { pi, tip_cid: tip(`${pi}${ver}`), ver })
      expect(answer, answer.text).toMatchObject({ status: 200, json: { success: true } })
      return String((answer.json as Json)['cid'])
    },
    event: (type, pi, ver) =>
      post('/events/append', { type, pi, ver, tip_cid: tip(`${pi}${ver}`) }),
    build: async () => (await (await service.dataset('main')).build()).snapshot,
  }
}

export async function expectProblem(
  answer: Answer | Promise<Answer>,
  status: number,
): Promise<void> {
  const given = await answer
  expect(given, given.text).toMatchObject({ status, json: { status } })
  // What the older clients print.
  expect((given.json as Json)['detail']).toBeTypeOf('string')
}

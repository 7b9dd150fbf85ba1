/** What tests of an attacked service share. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Job } from '../../src/jobs/job.ts'
import type { Answer, TestService } from './service.ts'

export const MAIN = '/v1/datasets/main'
export const JOBS: string = `${MAIN}/jobs`
export const LINKED = { init: { content: 'linked' } } as const
export const JSON_TYPE = { 'content-type': 'application/json' }
export const TIP = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
export const entity = (pi: string): string => `${MAIN}/entities/${encodeURIComponent(pi)}`

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    if (i > 800) throw new Error('it never came')
    await delay(10)
  }
}

/** The job of this request at its end. */
export async function runJob({ request }: TestService, body: unknown): Promise<Job> {
  const answer = await request('POST', JOBS, body)
  expect(answer.status, answer.text).toBe(202)
  const { id } = (answer.json as { job: Job }).job
  return ((await request('GET', `${JOBS}/${id}?wait_ms=30000`)).json as { job: Job }).job
}

/** Refused for what it is: no fault of the service. */
export function expectRefused(answer: Answer, what: string): void {
  const refused = answer.status >= 400 && answer.status < 500
  expect([what, answer.status, refused]).toEqual([what, answer.status, true])
  expect(answer.json, what).toHaveProperty('code')
}

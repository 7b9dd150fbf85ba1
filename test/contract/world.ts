/** A service with something in it: a linked and an external dataset, a snapshot, a backup, a job. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Job } from '../../src/jobs/job.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { startService } from '../../src/service/run/start.ts'

export interface World {
  readonly url: string
  /** What a request needs, of the right admin; undefined where everybody of this machine may ask. */
  readonly token: string | undefined
  /** What there is, for requests that are to find something. */
  readonly known: Known
  /** What was logged as an error. */
  readonly errors: readonly string[]
  readonly close: () => Promise<void>
}

export interface Known {
  readonly backup: string
  readonly cid: string
  readonly job: string
}

export async function openWorld({ withTokens }: { withTokens: boolean }): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-contract-'))
  const tokens = join(dir, 'tokens.json')
  const token = withTokens
    ? (await createToken(tokens, { name: 'contract', right: 'admin' })).token
    : undefined
  const flags = {
    data_dir: dir,
    store: 'memory:',
    port: '0',
    content: 'linked',
    ...(withTokens ? { behind_proxy: 'yes' } : {}),
  }
  const config = await resolveConfig({ flags, env: {}, cwd: dir })
  const errors: string[] = []
  const log = {
    info: () => {},
    debug: () => {},
    error: (event: string, fields?: object) =>
      void errors.push(`${event} ${JSON.stringify(fields ?? {})}`),
  }
  const { url, stop } = await startService({ config, log })
  const close = async (): Promise<void> => {
    await stop('the end of the test')
    await rm(dir, { recursive: true, force: true })
  }
  try {
    return { url, token, errors, close, known: await fill(url, token) }
  } catch (error) {
    await close()
    throw error
  }
}

const MAIN = '/v1/datasets/main'

async function fill(url: string, token: string | undefined): Promise<Known> {
  const auth: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` }
  const send = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...auth, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
    return response.json()
  }
  const run = async (body: object): Promise<Job> => {
    const { job } = (await send('POST', `${MAIN}/jobs`, body)) as { job: Job }
    const ended = (await send('GET', `${MAIN}/jobs/${job.id}?wait_ms=60000`)) as { job: Job }
    if (ended.job.state !== 'succeeded') throw new Error(JSON.stringify(ended))
    return ended.job
  }
  const ids = Array.from({ length: 20 }, (_, i) => `e${i}`)
  await send('POST', `${MAIN}/entries`, {
    entries: ids.map((pi, i) => ({ pi, value: { number: i, text: 'a'.repeat(i) } })),
  })
  await send('PUT', `${MAIN}/entities/bytes`, {
    bytes: Buffer.from('some bytes').toString('base64'),
  })
  await send('POST', `${MAIN}/maps/users/keys`, { set: { alice: { n: 1 }, bob: 'bytes' } })
  await send('PUT', `${MAIN}/maps/cache`, { ttl_ms: 3_600_000 })
  await send('POST', `${MAIN}/session/connect`, { user: 'alice' })
  await run({ kind: 'build', tags: ['first'], meta: { users: 2 } })
  const { id, result } = await run({ kind: 'export' })
  const written = await send('PUT', `${MAIN}/entities/e1`, { value: 'another' })
  await send('DELETE', `${MAIN}/entities/e2`)
  await send('PUT', '/v1/datasets/outside', { content: 'external' })
  const tip = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  await send('PUT', '/v1/datasets/outside/entities/a', { tip })
  return {
    backup: String(result?.['filename']),
    cid: (written as { tip: string }).tip,
    job: id,
  }
}

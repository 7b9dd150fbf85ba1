/** scripts/smoke.sh against the real service: all is well, or exactly what is broken is what fails. */
import { execFile } from 'node:child_process'
import { readdir, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { serve } from '../helpers/served.ts'
import { Sandbox, type Result } from '../cli/sandbox.ts'
import { ROOT } from './compose-tool.ts'
import { proxy, type Answer, type Fault } from './faulty-proxy.ts'

let box: Sandbox

beforeAll(async () => {
  const [sandbox, dist] = await Promise.all([Sandbox.make(), builtWithPage()])
  box = sandbox
  const link = join(dirname(dirname(box.bin())), 'dist')
  await rm(link)
  await symlink(dist, link)
})

afterAll(() => box.remove())

/** By the shell that runs it on a small server. */
function smoke(args: readonly string[], token = ''): Promise<Result> {
  const env = { PATH: '/usr/bin:/bin', TMPDIR: box.dir, CAIRN_TOKEN: token }
  return new Promise((resolve) => {
    execFile('sh', [join(ROOT, 'scripts/smoke.sh'), ...args], { env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code)
      resolve({ code, stdout, stderr })
    })
  })
}

const failed = ({ stdout }: Result): string[] =>
  stdout.split('\n').filter((line) => line.startsWith('FAILED  '))

interface Place {
  readonly url: string
  readonly token: string
  readonly dir: string
  readonly log: () => string
}

async function service(name: string): Promise<Place> {
  const dir = box.path(name)
  const create = ['token', 'create', 'admin', '--right', 'admin', '--data-dir', dir]
  const token = (await box.ok(create)).trim()
  const { url, stderr } = await serve(box, [], {}, dir)
  return { url, token, dir, log: stderr }
}

test('a service that is well: every check is ok, also from an old view, and what was written is gone', async () => {
  const { url, token, log } = await service('well')
  const first = await smoke([url], token)
  expect(failed(first)).toEqual([])
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toMatch(/\n3\d ok, 0 failed\n$/)
  const headers = { authorization: `Bearer ${token}` }
  const left = await fetch(`${url}/v1/datasets/smoke/entities`, { headers })
  expect(await left.json()).toMatchObject({ items: [], total_count: 0 })
  const second = await smoke([`${url}/`], token)
  expect(failed(second)).toEqual([])
  // Neither is in what anybody can read.
  expect(first.stdout + second.stdout + log()).not.toContain(token)
  expect((await readdir(box.dir)).filter((one) => one.startsWith('tmp.'))).toEqual([])
})

test('--read-only reads, with the right to read, and writes nothing', async () => {
  const { url, token, dir } = await service('read')
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  for (let i = 0; i < 7; i++)
    await fetch(`${url}/v1/datasets/main/entities/e${i}`, {
      method: 'PUT',
      headers,
      body: '{"value":1}',
    })
  const before = await (await fetch(`${url}/v1/datasets/main/checkpoint`, { headers })).text()
  const create = ['token', 'create', 'reader', '--right', 'read', '--data-dir', dir]
  const reader = (await box.ok(create)).trim()
  await expect
    .poll(
      async () =>
        (await fetch(`${url}/v1/datasets`, { headers: { authorization: `Bearer ${reader}` } }))
          .status,
    )
    .toBe(200)
  const result = await smoke(['--read-only', url], reader)
  expect(failed(result)).toEqual([])
  expect(result).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('ok  a walk over pages'),
  })
  expect(await (await fetch(`${url}/v1/datasets/main/checkpoint`, { headers })).text()).toBe(before)
  expect(await (await fetch(`${url}/v1/datasets`, { headers })).json()).toEqual({
    datasets: ['main'],
  })
  // The same token may not write.
  const refused = await smoke([url], reader)
  expect(refused.code).toBe(1)
  expect(failed(refused)).toEqual([expect.stringMatching(/dataset smoke.*403 \(access_denied/)])
})

test('a service that is down, a wrong token, no token, and one that is open', async () => {
  const port = await freePort()
  const down = await smoke([`http://127.0.0.1:${port}`])
  expect(down.code).toBe(1)
  expect(failed(down)).toEqual([expect.stringContaining('Failed to connect')])

  const { url } = await service('tokens')
  for (const [token, why] of [
    ['cairn_wrong', /^FAILED {2}with the token it answers: .*401 \(unauthenticated/],
    ['', /set CAIRN_TOKEN$/],
  ] as const) {
    const result = await smoke([url], token)
    expect(result.code).toBe(1)
    expect(failed(result)).toEqual([expect.stringMatching(why)])
  }
  const open = await serve(box)
  const result = await smoke(['--read-only', open.url])
  expect(result.stdout).not.toContain('token')
  expect(failed(result)).toEqual([])
  expect(result.code).toBe(0)
})

test('wrong usage ends with 2, help with 0', async () => {
  for (const args of [[], ['--nix', 'http://a'], ['http://a', 'http://b'], ['--dataset']])
    expect(await smoke(args)).toMatchObject({ code: 2, stderr: expect.stringContaining('usage:') })
  expect(await smoke(['--help'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('usage:'),
  })
})

const replaced = (answer: Answer, from: string | RegExp, to: string): void => {
  answer.body = Buffer.from(answer.body.toString('latin1').replace(from, to), 'latin1')
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'the store does not answer': {
    fails: /it is ready/,
    reading: true,
    answer: (answer, { path }) => {
      if (path === '/readyz') answer.status = 503
    },
  },
  'the page has no policy': {
    fails: /the page at \//,
    reading: true,
    answer: ({ headers }, { path }) => {
      if (path === '/') delete headers['content-security-policy']
    },
  },
  'the header nosniff is lost': {
    fails: /not guessed at/,
    reading: true,
    answer: ({ headers }) => delete headers['x-content-type-options'],
  },
  'anybody is let in with any token': {
    fails: /with a wrong token it refuses/,
    reading: true,
    ask: ({ headers }) => {
      if (headers.authorization?.includes('aaaa')) headers.authorization = 'Bearer TOKEN'
    },
  },
  'an unknown address is a page of the proxy': {
    fails: /an unknown address/,
    reading: true,
    answer: (answer, { path }) => {
      if (!path.includes('no-such')) return
      Object.assign(answer, { status: 200, body: Buffer.from('<html>') })
    },
  },
  'a page comes again and again': {
    fails: /a walk over pages/,
    ask: (asked) => Object.assign(asked, { path: asked.path.replace(/&cursor=[^&]*/, '') }),
  },
  'the last page is lost': {
    fails: /a walk over pages/,
    answer: (answer, { path }) => {
      if (path.includes('cursor=')) replaced(answer, /"next_cursor":"[^"]*"/, '"next_cursor":null')
    },
  },
  'what is read is not what was written': {
    fails: /reads what was written/,
    answer: (answer, { path }) => {
      if (path.endsWith('/content')) replaced(answer, '"run"', '"ran"')
    },
  },
  'a writer with an old view is let through': {
    fails: /an old view/,
    answer: (answer) => {
      if (answer.status === 409) answer.status = 200
    },
  },
  'the place in a stream is forgotten': {
    fails: /the stream goes on/,
    ask: ({ headers }) => delete headers['last-event-id'],
  },
  'one byte of a CAR is another': {
    fails: /its download has its sha256/,
    answer: ({ body }, { path }) => {
      if (path.endsWith('.car')) body[body.length - 1] = (body.at(-1) ?? 0) ^ 1
    },
  },
  'a delete is swallowed': {
    fails: /deletes/,
    ask: (asked) => {
      if (asked.method === 'DELETE' && asked.path !== '/livez')
        Object.assign(asked, { method: 'GET' })
    },
  },
}

test('what is broken is what fails, and nothing else', async () => {
  const place = await service('broken')
  expect(failed(await smoke([await proxy(place, { fails: /never/ })], place.token))).toEqual([])
  for (const [what, fault] of Object.entries(FAULTS)) {
    const args = fault.reading === true ? ['--read-only'] : []
    const result = await smoke([...args, await proxy(place, fault)], place.token)
    expect({ what, code: result.code, failed: failed(result) }).toEqual({
      what,
      code: 1,
      failed: [expect.stringMatching(fault.fails)],
    })
  }
}, 180_000)

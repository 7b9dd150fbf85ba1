/** What becomes of a commit whose answer does not come. */
import { once } from 'node:events'
import http from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { printCid, rawCidOf } from '../../src/model/cid.ts'
import type { CommitOutcome } from '../../src/store/backend.ts'
import { expectCode, fakeNodes, refusal, type Answer } from '../helpers/fake-node.ts'

const nodes = fakeNodes()
const { listen, open } = nodes
const fakeNode = nodes.start
afterEach(nodes.closeAll)

const someCommit = { dataset: 'main', number: 0, bytes: Buffer.from('{}'), blocks: [] }

const done: Answer = (_request, response) => response.end()

/** A node for one commit: an import takes its one block, `cp` does as told, and `read` tells of it. */
function commitNode(
  cp: Answer,
  read: () => string | undefined,
  { mkdir = done, flush = done }: { readonly mkdir?: Answer; readonly flush?: Answer } = {},
): Promise<string> {
  return fakeNode((request, response) => {
    const command = (request.url ?? '').replace(/^\/api\/v0\/|\?.*/g, '')
    const missing = refusal('file does not exist')
    if (command === 'files/cp') return cp(request, response)
    if (command === 'dag/import') return response.end('{"Stats":{"BlockCount":1}}\n')
    if (command === 'files/mkdir') return mkdir(request, response)
    if (command === 'files/flush') return flush(request, response)
    const stored = read()
    if (command === 'files/ls' && stored !== undefined) {
      return response.end('{"Entries":[{"Name":"00000000"}]}')
    }
    if (command !== 'files/read' && command !== 'files/stat') return missing(request, response)
    if (stored === undefined) return missing(request, response)
    const Hash = printCid(rawCidOf(Buffer.from(stored)))
    return response.end(command === 'files/stat' ? JSON.stringify({ Hash }) : stored)
  })
}

test.each<[string, string, CommitOutcome]>([
  ['its own bytes', '{}', 'committed'],
  ["another one's bytes", '{"another":1}', 'conflict'],
])(
  'a commit whose answer got lost asks again, finds %s there, and knows',
  async (_whose, there, expected) => {
    let stored: string | undefined
    let asked = 0
    const taken = 'cp: cannot put node in path /x: directory already has entry by that name'
    const cp: Answer = (request, response) => {
      if (++asked > 1) return refusal(taken)(request, response)
      stored = there
      response.destroy()
    }
    const backend = await open(await commitNode(cp, () => stored), { retryMs: 2_000 })
    expect(await backend.commit(someCommit)).toBe(expected)
    expect(asked).toBe(2)
  },
)

test('a commit that never gets an answer is unknown', async () => {
  const backend = await open(
    await commitNode(
      () => {},
      () => undefined,
    ),
    { commitDeadlineMs: 200 },
  )
  await expectCode(backend.commit(someCommit), 'commit_unknown')
  const lost: Answer = (_request, response) => void response.destroy()
  const other = await open(await commitNode(lost, () => undefined), { retryMs: 200 })
  await expectCode(other.commit(someCommit), 'commit_unknown')
})

test('an abort while the commit is put in place leaves it unknown', async () => {
  const abort = new AbortController()
  const backend = await open(
    await commitNode(
      () => abort.abort(),
      () => undefined,
    ),
  )
  await expectCode(backend.commit(someCommit, { signal: abort.signal }), 'commit_unknown')
})

test('a commit to a node that is gone is unavailable, and not unknown', async () => {
  const server = http.createServer((_request, response) => {
    response.setHeader('connection', 'close')
    response.end(JSON.stringify({ Version: '0.43.0' }))
  })
  const backend = await open(await listen(server))
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  await expectCode(backend.commit(someCommit), 'backend_unavailable')
})

test.each([
  ['which are refused, at a level each, as others make them', 3, 4],
  ['where a file lies for good', Infinity, 8],
])(
  'a commit that begins a directory asks for its directories again, %s',
  async (_where, refusals, times) => {
    let stored: string | undefined
    let asked = 0
    const cp: Answer = (_request, response) => {
      stored = '{}'
      response.end()
    }
    const mkdir: Answer = (request, response) =>
      (++asked > refusals ? done : refusal('file already exists'))(request, response)
    const backend = await open(await commitNode(cp, () => stored, { mkdir }))
    const committing = backend.commit(someCommit)
    if (refusals === Infinity) await expectCode(committing, 'backend_refused')
    else expect(await committing).toBe('committed')
    expect(asked).toBe(times)
  },
)

/** What `cp` answers where its directory was read anew for another change. */
const PUT_ASIDE = 'cp: cannot flush the created file /x: file does not exist'

test('a commit whose file was put aside by another change is put in place once more', async () => {
  let stored: string | undefined
  let asked = 0
  const cp: Answer = (request, response) => {
    if (++asked < 3) return refusal(PUT_ASIDE)(request, response)
    stored = '{}'
    response.end()
  }
  const backend = await open(await commitNode(cp, () => stored))
  expect(await backend.commit(someCommit)).toBe('committed')
  expect(asked).toBe(3)
})

test('a commit whose file was put aside before it was flushed is put in place once more', async () => {
  let stored: string | undefined
  const cp: Answer = (_request, response) => {
    stored = '{}'
    response.end()
  }
  let flushes = 0
  const flush: Answer = (request, response) =>
    (++flushes === 1 ? refusal('file does not exist') : done)(request, response)
  const backend = await open(await commitNode(cp, () => stored, { flush }))
  expect(await backend.commit(someCommit)).toBe('committed')
  expect(flushes).toBe(3)
})

test('a commit that is put aside again and again is unknown', async () => {
  const aside = refusal(PUT_ASIDE)
  await expectCode(
    open(await commitNode(aside, () => undefined)).then((backend) => backend.commit(someCommit)),
    'commit_unknown',
  )
})

test('a commit counts when the node was told twice to make it durable, and did', async () => {
  let stored: string | undefined
  const cp: Answer = (_request, response) => {
    stored = '{}'
    response.end()
  }
  for (const good of [0, 1, 2]) {
    let flushes = 0
    const flush: Answer = (request, response) =>
      (++flushes > good ? refusal('failed to write to disk') : done)(request, response)
    const backend = await open(await commitNode(cp, () => stored, { flush }))
    stored = undefined
    if (good < 2) await expectCode(backend.commit(someCommit), 'commit_unknown')
    else expect(await backend.commit(someCommit)).toBe('committed')
  }
})

test.each([408, 499, 502, 520, 524])(
  'a proxy that answers %i for a node that may be at it still does not tell what became of a commit',
  async (status) => {
    let stored: string | undefined
    const cp: Answer = (_request, response) => {
      stored = '{}'
      response.writeHead(status).end('gave up waiting')
    }
    const backend = await open(await commitNode(cp, () => stored))
    expect(await backend.commit(someCommit)).toBe('committed')
    const nothing = await open(await commitNode(cp, () => undefined))
    await expectCode(nothing.commit(someCommit), 'commit_unknown')
  },
)

test('a lease whose file was put aside, or put there by a try without an answer, is taken', async () => {
  const refusals = [
    PUT_ASIDE,
    'cp: cannot put node in path /x: file does not exist',
    'cp: cannot put node in path /x: directory already has entry by that name',
  ]
  const seen: string[] = []
  const url = await fakeNode((request, response) => {
    const command = (request.url ?? '').replace(/^\/api\/v0\/|\?.*/g, '')
    seen.push(command)
    const refused = command === 'files/cp' ? refusals.shift() : undefined
    if (refused === undefined) response.end()
    else refusal(refused)(request, response)
  })
  const backend = await open(url)
  await backend.lease('a reader')
  expect(seen).toEqual(['files/cp', 'files/cp', 'files/mkdir', 'files/cp', 'files/flush'])
})

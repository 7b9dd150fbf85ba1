/** A node whose MFS was lost: what finds the commits again, and what refuses to guess. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { openRecovery } from '../../src/backend/kubo/recover.ts'
import { Cairn } from '../../src/cairn.ts'
import { parseCid, printCid } from '../../src/model/cid.ts'
import {
  decodeCommit,
  encodeCommit,
  type Commit,
  type EncodedCommit,
} from '../../src/model/commit.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { loseOnNode } from '../helpers/kubo-damage.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { entitiesOf, makeTemplate } from './kubo-operations.ts'

const run = promisify(execFile)
let node: KuboNode
let box: Sandbox
const env = (): Record<string, string> => ({ CAIRN_STORE: `kubo:${node.url}` })

beforeAll(async () => {
  ;[box, node] = await Promise.all([Sandbox.make(), startKuboNode({ offline: true })])
}, 120_000)
afterAll(async () => {
  await node.dispose()
  await box.remove()
})
/** A new store on the node; blocks of earlier ones must not lie about, for they would be found. */
beforeEach(async () => {
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
  const pins = JSON.parse(await askNode(node.url, 'pin/ls')) as {
    Keys?: Record<string, { Type: string }>
  }
  for (const [cid, { Type }] of Object.entries(pins.Keys ?? {}))
    if (Type !== 'indirect') await askNode(node.url, 'pin/rm', { arg: cid })
  await askNode(node.url, 'repo/gc')
})

interface Made {
  readonly entities: Readonly<Record<string, string>>
  /** By their numbers. */
  readonly commits: readonly EncodedCommit[]
}

async function withCairn<T>(use: (cairn: Cairn) => Promise<T>): Promise<T> {
  const backend = await openKubo({ url: node.url })
  try {
    return await use(new Cairn(backend))
  } finally {
    await backend.close()
  }
}

async function allCommits(): Promise<EncodedCommit[]> {
  const backend = await openKubo({ url: node.url })
  try {
    const newest = await backend.newest('main', -1)
    const all: EncodedCommit[] = []
    for (let number = 0; number <= (newest?.number ?? -1); number++) {
      const bytes = await backend.getCommit('main', number)
      if (bytes !== undefined) all.push(decodeCommit(bytes))
    }
    return all
  } finally {
    await backend.close()
  }
}

async function make(): Promise<Made> {
  const { entities } = await withCairn((cairn) => makeTemplate(cairn))
  return { entities, commits: await allCommits() }
}

const loseMfs = (): Promise<string> =>
  askNode(node.url, 'files/rm', { arg: '/cairn', recursive: 'true', force: 'true' })

async function expectRecovered({ entities, commits }: Made): Promise<void> {
  expect((await allCommits()).map(({ cid }) => printCid(cid))).toEqual(
    commits.map(({ cid }) => printCid(cid)),
  )
  await withCairn(async (cairn) => {
    const dataset = await cairn.dataset()
    expect(await entitiesOf(dataset)).toEqual(entities)
    await dataset.put('after', { goes: 'on' })
    expect((await dataset.build()).status).toBe('built')
  })
  expect((await box.run(['verify'], { env: env() })).code).toBe(0)
}

/** A commit as another writer would have made it, as a block that nothing names. */
async function putCommit(commit: EncodedCommit, changes: Partial<Commit>): Promise<string> {
  const { bytes, cid } = encodeCommit({ ...commit.commit, writer: 'rival', ...changes })
  const body = new FormData()
  body.append('file', new Blob([bytes.slice()]))
  await fetch(`${node.url}/api/v0/block/put?cid-codec=raw`, { method: 'POST', body })
  return printCid(cid)
}

test('what was acknowledged is found again, said first, and put back when told', async () => {
  const made = await make()
  await loseMfs()
  const doctor = await box.run(['doctor', '--json'], { env: env() })
  expect(doctor.stdout).toContain('`cairn recover` finds the newest commits')
  const newest = made.commits.at(-1)
  const found = await box.json(['recover'], { env: env() })
  expect(found).toMatchObject({
    status: 'planned',
    candidates: [
      { commit: newest?.commit.number, commits_found: made.commits.length, commits_lost: 0 },
    ],
  })
  expect(await allCommits(), 'a search changes nothing').toEqual([])
  expect(await box.json(['recover', '--yes'], { env: env() })).toMatchObject({
    status: 'recovered',
    put: made.commits.length,
  })
  expect(await box.json(['recover', '--yes'], { env: env() })).toMatchObject({
    status: 'already_there',
  })
  await expectRecovered(made)
})

test('a node that does not start, since the root of its MFS is gone, is recovered after a chroot', async () => {
  const made = await make()
  const { Hash } = JSON.parse(await askNode(node.url, 'files/stat', { arg: '/' })) as {
    Hash: string
  }
  const { RepoPath } = JSON.parse(await askNode(node.url, 'repo/stat')) as { RepoPath: string }
  await loseOnNode(node.url, parseCid(Hash))
  await expect(node.restart()).rejects.toThrow('error loading filesroot')
  await run(await binary(), ['files', 'chroot', '--confirm'], {
    env: { ...process.env, IPFS_PATH: RepoPath },
  })
  await node.restart()
  await box.ok(['recover', '--yes'], { env: env() })
  await expectRecovered(made)
}, 60_000)

test('an older list of commits, and one with gaps, are made whole', async () => {
  const made = await make()
  for (const number of [0, 2, made.commits.length - 1]) {
    const path = `/cairn/datasets/main/00000000/${String(number).padStart(10, '0')}`
    await askNode(node.url, 'files/rm', { arg: path })
  }
  expect(await box.json(['recover', '--yes'], { env: env() })).toMatchObject({ put: 3 })
  await expectRecovered(made)
})

test('a writer that lost the race for a number is told from the one that won it', async () => {
  const made = await make()
  for (const commit of made.commits.slice(1, -1)) await putCommit(commit, {})
  await loseMfs()
  await box.ok(['recover', '--yes'], { env: env() })
  await expectRecovered(made)
})

test('of two newest commits none is taken until one is chosen', async () => {
  const made = await make()
  const last = made.commits.at(-1) as EncodedCommit
  const rival = await putCommit(last, {})
  await loseMfs()
  const listed = await box.json(['recover'], { env: env() })
  expect(JSON.stringify(listed)).toContain(rival)
  const refused = await box.run(['recover', '--yes'], { env: env() })
  expect(refused.code).toBe(13)
  expect(refused.stderr).toContain(rival)
  expect(await allCommits()).toEqual([])
  await box.ok(['recover', '--yes', '--commit', printCid(last.cid)], { env: env() })
  await expectRecovered(made)
})

test('a state of which a block is missing is not put back', async () => {
  const made = await make()
  await loseMfs()
  await loseOnNode(node.url, (made.commits.at(-1) as EncodedCommit).commit.snapshot)
  const refused = await box.run(['recover', '--yes'], { env: env() })
  expect(refused.code).toBe(5)
  expect(await allCommits()).toEqual([])
})

test('a dataset that was made anew meanwhile is not mixed with what is found', async () => {
  await make()
  await loseMfs()
  await box.ok(['put', 'new', '--value', '1'], { env: env() })
  const before = await allCommits()
  const refused = await box.run(['recover', '--yes'], { env: env() })
  expect(refused.code).toBe(13)
  expect(await allCommits()).toEqual(before)
})

test('another program’s blocks, large, raw and of other hashes, do no harm', async () => {
  const made = await make()
  for (const query of [
    'cid-codec=raw&mhtype=sha2-512',
    'cid-codec=raw&mhtype=blake3',
    'cid-codec=raw',
  ])
    for (const size of [0, 1_000, 900_000]) {
      const body = new FormData()
      body.append('file', new Blob([`"schema":"cairn/commit@v1"${query}`.padEnd(size, 'x')]))
      await fetch(`${node.url}/api/v0/block/put?pin=true&${query}`, { method: 'POST', body })
    }
  await loseMfs()
  await box.ok(['recover', '--yes'], { env: env() })
  await expectRecovered(made)
})

test('only a node is searched', async () => {
  const recovery = openRecovery({ url: node.url })
  expect(await recovery.search()).toEqual([])
  recovery.close()
  expect((await box.run(['recover', '--store', 'lmdb:x'])).code).toBe(2)
  expect((await box.run(['recover'], { env: env() })).code).toBe(10)
})

async function binary(): Promise<string> {
  const given = process.env['KUBO_BIN']
  if (given !== undefined && given !== '') return given
  const script = fileURLToPath(new URL('../../scripts/kubo.mjs', import.meta.url))
  return (await run(process.execPath, [script])).stdout.trim()
}

/** Clients that were not written here fetch a snapshot and verify it: IPFS's own library for gateways, and Kubo. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { printCid } from '../../src/model/cid.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { blocksOf, damagedBackend } from '../helpers/damage.ts'
import { tempDir } from '../helpers/engine.ts'
import { fetchWithClient, gatewayClient, type Fetched } from '../helpers/gateway-client.ts'
import { storeBlocks, unixFs } from '../helpers/gateway.ts'
import { getCar, openGatewayWorld, type GatewayWorld } from '../helpers/gateway-world.ts'
import { kuboBinary } from '../helpers/kubo-node.ts'

const run = promisify(execFile)

beforeAll(async () => {
  await Promise.all([gatewayClient(), kuboBinary()])
}, 600_000)

const sumOf = (blocks: readonly { readonly bytes: Uint8Array }[]): number =>
  blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A file of several levels, content of an entity, and a new snapshot. */
async function addFile(world: GatewayWorld): Promise<{ cid: string; content: Uint8Array }> {
  const content = Uint8Array.from({ length: 2_500_000 }, (_, i) => (i * 31 + (i >> 9)) & 0xff)
  const { root, blocks } = await unixFs([{ content }], { chunkSize: 4096, width: 20 })
  await storeBlocks(world.backend, blocks)
  const dataset = await world.service.dataset('main')
  await dataset.append({ pi: 'item-0', tip: root })
  await dataset.build()
  return { cid: printCid(root), content }
}

test('block by block, with a token, and in public', async () => {
  const data_dir = await tempDir()
  const tokens_file = join(data_dir, 'tokens.json')
  const { token } = await createToken(tokens_file, {
    name: 'reader',
    right: 'read',
    datasets: undefined,
  })
  for (const gateway of ['read', 'public'] as const) {
    const world = await openGatewayWorld({ values: { gateway, data_dir, tokens_file } })
    const { blocks } = await getCar(world, `${world.root}?format=car`, {
      authorization: `Bearer ${token}`,
    })
    const args = ['blocks', world.url, world.root]
    const expected = { blocks: blocks.length, bytes: sumOf(blocks) }
    expect(await fetchWithClient(args, token)).toMatchObject(expected)
    const without = fetchWithClient(args)
    if (gateway === 'public') expect(await without).toMatchObject(expected)
    else await expect(without).rejects.toThrow('401')
  }
})

test('as CARs, walked in their order', async () => {
  const world = await openGatewayWorld()
  const { url, root } = world
  const car = (path: string, scope: string, ...part: string[]): Promise<Fetched> =>
    fetchWithClient(['car', url, path, scope, ...part])
  const whole = await getCar(world, `${root}?format=car`)
  expect(await car(root, 'all')).toMatchObject({ roots: [root], cids: whole.cids })
  expect((await car(root, 'block')).cids).toEqual([root])
  const leaf = `${root}/root/children/0/5`
  const under = await getCar(world, `${leaf}?format=car`)
  expect(await car(leaf, 'all')).toMatchObject({ roots: under.roots, cids: under.cids })
  const entity = await car(`${leaf}/entries/3/2`, 'entity')
  expect(entity.blocks).toBe(4)
  expect(entity.cids?.slice(0, 3)).toEqual(under.cids.slice(0, 3))
})

test('a file of an entity, and parts of it, as a browser would get them', async () => {
  const world = await openGatewayWorld()
  const { cid, content } = await addFile(world)
  const root = printCid((await (await world.service.dataset('main')).snapshot()).cid)
  const at = `${root}/root/children/0/5/entries/0/2`
  const get = (path: string, ...part: string[]): Promise<Fetched> =>
    fetchWithClient(['get', world.url, path, ...part])
  for (const path of [cid, at])
    expect(await get(path)).toMatchObject({ bytes: content.length, sha256: sha256(content) })
  for (const [from, to] of [
    [0, 0],
    [4095, 4096],
    [1_000_000, 1_200_000],
    [2_400_000, 2_499_999],
  ] as const) {
    const bytes = content.subarray(from, to + 1)
    expect(await get(cid, `${from}-${to}`)).toMatchObject({ sha256: sha256(bytes) })
    const { blocks } = await fetchWithClient(['car', world.url, cid, 'entity', `${from}:${to}`])
    // Three levels above the leaves, at most two nodes of each at the edges.
    expect(blocks).toBeLessThan((to - from) / 4096 + (to - from) / 80_000 + 8)
  }
})

test('what is damaged is believed by none of them', async () => {
  const backend = damagedBackend(openMemory())
  const { url, root } = await openGatewayWorld({ backend })
  const { leaves } = await blocksOf(backend)
  backend.flip(leaves[1])
  await expect(fetchWithClient(['blocks', url, root])).rejects.toThrow('500')
  await expect(fetchWithClient(['car', url, root, 'all'])).rejects.toThrow()
})

test('curl, and ipfs dag import', { timeout: 60_000 }, async () => {
  const world = await openGatewayWorld({ bytes: 30_000 })
  const { cid, content } = await addFile(world)
  const root = printCid((await (await world.service.dataset('main')).snapshot()).cid)
  const whole = await getCar(world, `${root}?format=car`)
  const env = {
    ...process.env,
    IPFS: await kuboBinary(),
    IPFS_PATH: await tempDir(),
    IPFS_TELEMETRY: 'off',
    URL: `${world.url}/ipfs/${root}`,
    ROOT: root,
    FILE: cid,
  }
  const sh = async (line: string): Promise<string> => {
    const options = { env, encoding: 'buffer', maxBuffer: 16 << 20 } as const
    const { stdout } = await run('bash', ['-o', 'pipefail', '-c', line], options)
    return stdout.toString('latin1')
  }
  await sh('"$IPFS" init --empty-repo --algorithm=ed25519')
  expect(await sh('curl -fsS "$URL?format=car" | "$IPFS" dag import')).toMatch(
    new RegExp(`^Pinned root\\s+${root}\\s+success`, 'm'),
  )
  const refs = (await sh('"$IPFS" --offline refs -r -u "$ROOT"')).trim().split('\n')
  expect([root, ...refs].toSorted()).toEqual(whole.cids.toSorted())
  const stat = JSON.parse(
    await sh('"$IPFS" --offline dag stat --progress=false --enc=json "$ROOT"'),
  )
  expect(stat).toMatchObject({ UniqueBlocks: whole.cids.length, TotalSize: sumOf(whole.blocks) })
  const file = Buffer.from(await sh('"$IPFS" --offline cat "$FILE"'), 'latin1')
  expect(sha256(file)).toBe(sha256(content))
  // Again, of what it has now: by curl alone, a block that hashes to its name.
  const block = Buffer.from(
    await sh('curl -fsS "$URL?format=raw" | "$IPFS" --offline block put --cid-codec dag-cbor'),
    'latin1',
  )
  expect(block.toString().trim()).toBe(root)
})

/** The archive that other tests, benchmarks and newcomers try things on. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import type { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { Archive, importLines, type ArchiveVersion } from '../../scripts/make-archive.mjs'
import { cborCidOf, cidMatches, cidParts, printCid } from '../../src/model/cid.ts'
import { parseId } from '../../src/model/entity-id.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('../../scripts/make-archive.mjs', import.meta.url))

function countKinds(versions: readonly ArchiveVersion[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind } of versions) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

test('an archive has 1 institution, 1 collection, 4 series, 100 file units and 2,187 objects', () => {
  const { entities } = new Archive()
  expect(countKinds(entities)).toEqual({
    institution: 1,
    collection: 1,
    series: 4,
    'file unit': 100,
    'digital object': 2187,
  })
  const ids = entities.map(({ pi }) => parseId(pi))
  expect(new Set(ids).size).toBe(2293)
  // Every entity but the institution is the child of just one other.
  const children = entities.flatMap(({ manifest }) => manifest.children_pi)
  expect(children.toSorted()).toEqual(ids.slice(1).toSorted())
})

test('a manifest names its components by links to blocks that come with it', () => {
  for (const { pi, ver, cid, manifest, blocks } of new Archive({ objects: 300 }).entities) {
    expect(manifest).toMatchObject({ schema: 'arke/manifest@v1', pi, ver, prev: null })
    for (const block of blocks) expect(cidMatches(block.cid.bytes, block.bytes)).toBe(true)
    const given = blocks.map((block) => block.cid.toString())
    expect(given.at(-1)).toBe(cid.toString())
    const named = Object.values(manifest.components).map(String)
    expect(new Set(named)).toEqual(new Set(given.slice(0, -1)))
    expect(named.length).toBeGreaterThan(0)
  }
})

test('updates are new versions that name the one before', () => {
  const archive = new Archive({ seed: 5, objects: 50 })
  const newest = new Map(archive.entities.map((one) => [one.pi, one]))
  let ts = Math.max(...archive.entities.map((one) => one.ts))
  for (const update of archive.updates(500)) {
    const before = newest.get(update.pi)
    expect(update.ver).toBe((before?.ver ?? 0) + 1)
    expect(update.manifest.prev?.toString()).toBe(before?.cid.toString())
    expect(update.ts).toBeGreaterThan(ts)
    ts = update.ts
    newest.set(update.pi, update)
  }
  expect(archive.entities.map((one) => one.cid)).toEqual([...newest.values()].map((one) => one.cid))
})

test('the same seed makes the same archive, another seed another one', () => {
  const cids = (seed: number): string[] => {
    const archive = new Archive({ seed, objects: 20 })
    return [...archive.entities, ...archive.updates(20)].map(({ cid }) => cid.toString())
  }
  expect(cids(3)).toEqual(cids(3))
  expect(new Set([...cids(3), ...cids(4)]).size).toBe(2 * cids(3).length)
})

test('the script writes lines for an import, which need nothing else', async () => {
  const { stdout } = await run(process.execPath, [script, '--seed', '2', '--updates', '100'], {
    maxBuffer: 64 << 20,
  })
  const lines = stdout.trimEnd().split('\n')
  expect(lines).toEqual([...importLines({ seed: 2, updates: 100 })])
  expect(lines).toHaveLength(2293 + 100)
  const known = new Set<string>()
  for (const line of lines) {
    const { pi, ver, ts, value, ...others } = JSON.parse(line) as Record<string, unknown>
    expect(others).toEqual({})
    expect(new Date(String(ts)).toISOString()).toBe(ts)
    const manifest = dagJson.decode<{
      pi: string
      ver: number
      prev: CID | null
      components: Record<string, CID>
    }>(Buffer.from(JSON.stringify(value)))
    expect([manifest.pi, manifest.ver]).toEqual([pi, ver])
    for (const cid of Object.values(manifest.components))
      expect(cidParts(cid.bytes).hash).toBe('identity')
    if (manifest.prev !== null) expect(known.has(manifest.prev.toString())).toBe(true)
    known.add(cidOfManifest(manifest))
  }
})

test('the script ends quietly when nobody reads on, and refuses what is no number', async () => {
  const piped = await run('sh', ['-c', `"${process.execPath}" "${script}" | head -n 1`])
  expect(piped.stdout.trimEnd().split('\n')).toHaveLength(1)
  expect(piped.stderr).toBe('')
  await expect(run(process.execPath, [script, '--seed', 'x'])).rejects.toThrow('whole number')
})

function cidOfManifest(manifest: unknown): string {
  return printCid(cborCidOf(dagCbor.encode(manifest)))
}

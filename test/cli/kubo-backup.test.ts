/** A backup of one Kubo node, restored on another. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { ndjson, Sandbox } from './sandbox.ts'

let box: Sandbox
let nodes: readonly [KuboNode, KuboNode]

beforeAll(async () => {
  box = await Sandbox.make()
  nodes = await Promise.all([startKuboNode(), startKuboNode()])
})

afterAll(async () => {
  for (const node of nodes) await node.dispose()
  await box.remove()
})

test('a base and a delta of one node bring everything back on another, held by its pins', async () => {
  const [from, to] = nodes.map(({ url }) => ({ CAIRN_STORE: `kubo:${url}` }))
  if (from === undefined || to === undefined) throw new Error('two nodes are needed')
  const input = Array.from({ length: 300 }, (_, i) => `{"pi":"k-${i}","value":{"i":${i}}}\n`)
  await box.ok(['import', '-'], { env: from, input: input.join('') })
  await box.ok(['build-snapshot'], { env: from })
  const base = (await box.ok(['export-car'], { env: from })).trim()
  await box.ok(['put', 'k-7', '--value', '"seven"'], { env: from })
  await box.ok(['append', 'k-8', '--delete'], { env: from })
  await box.ok(['build-snapshot'], { env: from })
  await box.ok(['put', 'late', '--value', '"late"'], { env: from })
  const delta = (await box.ok(['export-car', '--since', 'seq:1'], { env: from })).trim()
  const drilled = await box.json(['drill'], { env: from })
  expect(drilled).toMatchObject({ status: 'passed', total_count: 300, rpo_ms: 0 })

  await box.ok(['restore-car', base], { env: to })
  await box.ok(['restore-car', delta, '--replace', '--yes'], { env: to })
  const all = async (env: Record<string, string>): Promise<unknown[]> =>
    ndjson(await box.ok(['export', '--values'], { env }))
  expect(await all(to)).toEqual(await all(from))
  const root = async (env: Record<string, string>): Promise<unknown> =>
    (await box.json(['status'], { env }))['root']
  expect(await root(to)).toBe(await root(from))
  // What the node's collector leaves is what is held.
  await askNode(nodes[1].url, 'repo/gc', { quiet: 'true' })
  expect(await all(to)).toEqual(await all(from))
  expect(await box.json(['restore-car', base, delta], { env: to })).toMatchObject({
    status: 'already_restored',
  })
})

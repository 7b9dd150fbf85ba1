/** Records of a made-up next version on an IPFS node: refused, and nothing is written after them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { encodeJson } from '../../src/content/encode.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { EDITS, forged, recorded, recordsOf, replay, type RawStore } from './forge.ts'
import { outcomeOf } from './operations.ts'
import { fillStore, openAt, READ } from './recipe.ts'

const USES: Readonly<Record<string, (dataset: Dataset) => Promise<unknown>>> = {
  list: (dataset) => dataset.list({ limit: 500 }),
  append: (dataset) => dataset.append({ pi: 'E000', tip: encodeJson({ n: 0, of: 'first' }).cid }),
  build: (dataset) => dataset.build({ force: true }),
  prune: (dataset) => dataset.prune({ policy: { last: 9 } }),
}

/** Of a kept page readers need nothing, and of a leaf who appends elsewhere does not. */
const CASES: readonly (readonly [string, readonly string[]])[] = [
  ['new commit', ['list', 'append', 'build', 'prune']],
  ['new header', ['list', 'append', 'build', 'prune']],
  ['new chain block', ['list', 'append', 'build', 'prune']],
  ['new leaf', ['list', 'append', 'prune']],
  ['new kept page', ['build', 'prune']],
]

let node: KuboNode
let raw: RawStore
beforeAll(async () => {
  node = await startKuboNode()
  raw = await recorded(fillStore)
})
afterAll(() => node.dispose())

test.each(CASES)('a %s', async (place, uses) => {
  const target = recordsOf(raw)[place]
  const edit = EDITS['the next version']?.edit
  if (target === undefined || edit === undefined) throw new Error('no such record')
  const store = forged(raw, target, edit)
  const backend = await openKubo({ url: node.url })
  try {
    await replay(store, backend)
    const before = await backend.newest('main', -1)
    for (const name of uses) {
      const work = async (): Promise<unknown> =>
        USES[name]?.(await openAt(backend, () => READ).dataset('main'))
      const outcome = await outcomeOf(work())
      expect(outcome, name).toMatchObject({ refused: 'format_unsupported' })
      expect('hint' in outcome ? outcome.hint : '', name).toMatch(/version/)
      expect(await backend.newest('main', -1), name).toEqual(before)
    }
  } finally {
    await backend.close()
    await askNode(node.url, 'files/rm', { arg: '/cairn', recursive: 'true', force: 'true' })
  }
})

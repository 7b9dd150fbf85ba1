import { cp } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { parseCid } from '../../src/model/cid.ts'
import { CID, Sandbox } from './sandbox.ts'

let box: Sandbox
let tip: string

beforeAll(async () => {
  box = await Sandbox.make()
  const lines = Array.from({ length: 20 }, (_, i) => `{"pi":"e${i}","value":{"n":${i}}}`)
  await box.ok(['import', '-'], { input: lines.join('\n') })
  await box.ok(['build-snapshot'])
  await box.ok(['put', 'late', '--value', '{"late":true}'])
  tip = String((await box.json(['get', 'late']))['tip'])
  await cp(box.path('.cairn', 'store'), box.path('copy'), { recursive: true })
})

afterAll(() => box.remove())

/** Other bytes under the CID of the newest content, as a bad disk would have it. */
async function damage(): Promise<void> {
  const store = await openLmdb({ dir: box.path('.cairn', 'store') })
  await store.heal([{ cid: parseCid(tip), bytes: Uint8Array.of(1, 2, 3) }])
  await store.close()
}

test('a damaged state is left for the newest whole one, which says so; repaired, it is there again', async () => {
  expect(await box.ok(['rollback', '--to-good'])).toBe('"main" is whole: nothing was changed.\n')
  expect(await box.json(['rollback', '--to-good'])).toEqual({ status: 'good', commit: 3 })
  await damage()
  const report = await box.json(['rollback', '--to-good'])
  expect(report).toEqual({
    status: 'fell_back',
    from: 3,
    to: 2,
    commit: 4,
    generation: 2,
    snapshot: expect.stringMatching(CID),
    seq: 1,
    total_count: 20,
    damage: [
      {
        commit: 3,
        what: 'content',
        cid: tip,
        code: 'block_mismatch',
        message: expect.stringContaining(tip),
      },
    ],
    lost: { from: 20, to: 21 },
    unlisted: 0,
  })
  expect(await box.json(['status'])).toMatchObject({ total_count: 20 })
  expect(await box.fails(['rollback', '--commit', '3', '--yes'])).toMatchObject({ exit: 4 })
  await box.run(['verify'])
  await box.ok(['repair', '--from', 'lmdb:copy'])
  await box.ok(['rollback', '--commit', '3', '--yes'])
  expect(await box.json(['get', 'late'])).toMatchObject({ tip })
})

test('in words: from where to where, what was damaged, and how to get at it', async () => {
  await damage()
  const text = await box.ok(['rollback', '--to-good'])
  expect(text.split('\n')).toEqual([
    '"main" fell back from commit 5 to the state of commit 4: snapshot 1, 20 entities.',
    `Damaged in commit 5: content ${tip} (block_mismatch).`,
    '1 log position is no longer current: 20.',
    'What is left of commit 5 is kept. To get it back: cairn verify, cairn repair, then cairn rollback --commit 5.',
    '',
  ])
})

test('it takes no other target', async () => {
  for (const more of ['latest~1', '--commit=2', '--keep-chain', '--dry-run'])
    expect(await box.fails(['rollback', '--to-good', more])).toMatchObject({ exit: 2 })
})

import { cp, readdir, rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { parseCid } from '../../src/model/cid.ts'
import { CID, Sandbox } from './sandbox.ts'

let box: Sandbox
let tip: string

beforeAll(async () => {
  box = await Sandbox.make()
  const lines = Array.from({ length: 300 }, (_, i) => `{"pi":"e${i}","value":{"n":${i}}}`)
  await box.ok(['import', '-'], { input: lines.join('\n') })
  await box.ok(['build-snapshot'])
  await box.ok(['put', 'late', '--value', '{"late":true}'])
  tip = String((await box.json(['get', 'e7']))['tip'])
  await box.ok(['export', '--out', 'unused.ndjson'])
  await cp(box.path('.cairn', 'store'), box.path('copy'), { recursive: true })
})

afterAll(() => box.remove())

/** Other bytes under the CID of e7's content, as a bad disk would have it. */
async function damage(): Promise<void> {
  const store = await openLmdb({ dir: box.path('.cairn', 'store') })
  await store.heal([{ cid: parseCid(tip), bytes: Uint8Array.of(1, 2, 3) }])
  await store.close()
}

test('a sound store: a verdict, the parts, what was read, and since when', async () => {
  expect(await box.json(['verify'])).toEqual({
    status: 'sound',
    dataset: 'main',
    mode: 'full',
    commit: 3,
    snapshots: 2,
    proved: 7,
    blocks: expect.any(Number),
    bytes: expect.any(Number),
    found: { missing: 0, corrupt: 0, malformed: 0, unknown: 0 },
    // The page of the kept list before the newest build.
    unreachable: 1,
    problems: [],
    coverage: {
      parts: 7,
      never_proved: 0,
      half_within_ms: expect.any(Number),
      most_within_ms: expect.any(Number),
      proved_within_ms: expect.any(Number),
      whole: true,
    },
    ledger: expect.stringMatching(/ledger\/main-[0-9a-f]{16}\.ndjson$/),
    notes: [],
  })
  expect(await readdir(box.path('.cairn', 'ledger'))).toHaveLength(1)
  const text = await box.ok(['verify', '--quick'])
  expect(text).toMatch(
    /^sound: \d+ of 7 parts proved \(.* blocks, .*\)\nall was proved within the last \ds\n$/,
  )
  expect(await box.json(['verify', '--budget', '5m'])).toMatchObject({
    mode: 'budget',
    status: 'sound',
  })
  expect(await box.json(['verify', '--sample', '10%'])).toMatchObject({ mode: 'sample' })
})

test('flags that cannot be are refused', async () => {
  for (const args of [
    ['--quick', '--budget', '5m'],
    ['--sample', '0%'],
    ['--budget', 'soon'],
  ])
    expect(await box.fails(['verify', ...args]), args.join(' ')).toMatchObject({
      exit: 2,
      code: 'usage',
    })
  expect(await box.fails(['repair'])).toMatchObject({ exit: 2, code: 'usage' })
  expect(await box.fails(['repair', '--from', 'a.car,'])).toMatchObject({ exit: 2, code: 'usage' })
  expect(await box.fails(['repair', '--from', 'none.car'])).toMatchObject({ exit: 2 })
  expect(await box.fails(['verify', '-d', 'none'])).toMatchObject({ exit: 10 })
  expect(await box.fails(['verify', '--store', 'lmdb:none'])).toMatchObject({ exit: 10 })
})

test('damage ends with 4; a repair brings it back from another store, and says from where', async () => {
  await damage()
  const found = await box.run(['verify', '--json'])
  expect(found.code).toBe(4)
  expect(JSON.parse(found.stdout)).toMatchObject({
    status: 'damaged',
    found: { corrupt: 1 },
    problems: [{ cid: tip, kind: 'content', state: 'corrupt', code: 'block_mismatch' }],
  })
  expect(JSON.parse(found.stderr)).toMatchObject({ exit_error: { code: 'damage_found' } })
  const dry = await box.json(['repair', '--from', 'lmdb:copy', '--dry-run'])
  const block = { cid: tip, kind: 'content', state: 'corrupt', from: 'lmdb:copy' }
  expect(dry).toMatchObject({ status: 'planned', healed: 1, blocks: [block] })
  expect((await box.run(['verify', '--quiet'])).code).toBe(4)
  const done = await box.ok(['repair', '--from', 'lmdb:copy'])
  expect(done).toBe(`lmdb:copy\tcontent\t${tip}\twas corrupt\nhealed 1 block, 4 B\n`)
  expect(tip).toMatch(CID)
  expect(await box.ok(['cat', 'e7'])).toBe('{"n":7}\n')
  expect((await box.json(['verify']))['status']).toBe('sound')
  expect(await box.json(['repair', '--from', 'lmdb:copy'])).toMatchObject({
    status: 'nothing_listed',
    verdict: 'sound',
  })
})

test('what cannot be found stays listed, with the exit code of the damage', async () => {
  await damage()
  expect((await box.run(['verify'])).code).toBe(4)
  const empty = await openLmdb({ dir: box.path('empty'), create: true })
  await empty.close()
  const failed = await box.fails(['repair', '--from', 'lmdb:empty'])
  expect(failed).toMatchObject({ exit: 4, code: 'damage_found' })
  await box.ok(['repair', '--from', 'lmdb:empty,lmdb:copy'])
  await rm(box.path('empty'), { recursive: true })
})

test('a repair from a CAR', async () => {
  await box.ok(['export-car', '--out', 'all.car'])
  await damage()
  await box.run(['verify', '--quick'])
  expect((await box.run(['verify'])).code).toBe(4)
  expect(await box.json(['repair', '--from', 'all.car'])).toMatchObject({
    status: 'repaired',
    healed: 1,
    blocks: [{ cid: tip, from: 'all.car' }],
  })
})

/** The embedded store: every write transaction, and some steps of the contract, failing in every way. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { expectHarmless, ofThisTest, SEED } from './expect.ts'
import { lmdbGrounds } from './lmdb-ground.ts'

test('whatever transaction fails, and how, the store is as it was or as it should be', async () => {
  const grounds = ofThisTest(await lmdbGrounds('transactions'))
  const { cases } = await expectHarmless(grounds, { rotate: SEED })
  expect(cases.length).toBeGreaterThan(60)
}, 180_000)

test('whatever step of the contract fails, and how, the same holds', async () => {
  const sample = { count: 10, seed: SEED }
  await expectHarmless(ofThisTest(await lmdbGrounds('contract')), { effects: true, sample })
}, 180_000)

test('no transaction is opened but where its steps are counted', async () => {
  const folder = fileURLToPath(new URL('../../src/backend/lmdb', import.meta.url))
  const found: string[] = []
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), 'utf8')
    const calls = text.match(/\b(?:transaction(?:Sync|Async)?|batch|ifVersion|ifNoExists)\(/g) ?? []
    found.push(...calls.map((call) => `${name} ${call}`))
  }
  // The other one writes the mark of a new store.
  expect(found.toSorted()).toEqual(['environment.ts transaction(', 'tables.ts transaction('])
})

/** The embedded store: every write transaction, and some steps of the contract, failing in every way. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectHarmless, ofThisTest, ROTATED, SEED } from './expect.ts'
import type { Grounds } from './ground.ts'
import { lmdbGrounds } from './lmdb-ground.ts'
import { OPERATIONS } from './operations.ts'
import type { Choice } from './table.ts'

let transactions: Grounds

beforeAll(async () => {
  transactions = await lmdbGrounds('transactions')
})

afterAll(async () => {
  await transactions.dispose()
})

test.each(OPERATIONS.map(({ name }) => name))(
  '%s: whatever transaction fails, the store is as it was or as it should be',
  async (operation) => {
    const { cases } = await expectHarmless(transactions, { operation, ...ROTATED })
    expect(cases.length).toBeGreaterThan(0)
  },
  180_000,
)

/** Whatever the seed. */
const FOUND: readonly Choice[] = [
  { operation: 'prune', step: 'endSweep in sweep', faults: ['before'] },
  { operation: 'export', step: 0, faults: ['after'] },
]

test.each(FOUND)('what was found once: $operation', async (choice) => {
  const { cases } = await expectHarmless(transactions, choice)
  expect(cases.length).toBeGreaterThan(0)
})

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
  // The others write nothing, as the first of an opening, and the mark of a new store.
  expect(found.toSorted()).toEqual([
    'environment.ts transaction(',
    'newest-transaction.ts transactionSync(',
    'tables.ts transaction(',
  ])
})

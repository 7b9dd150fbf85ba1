import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cborBlock, printCid, type CidBytes } from '../../src/model/cid.ts'
import { CairnError } from '../../src/errors.ts'
import { Findings } from '../../src/verify/finding.ts'
import { Ledger, type LedgerOf } from '../../src/verify/ledger.ts'
import { tempDir } from '../helpers/engine.ts'

const OF: LedgerOf = { location: 'lmdb:/a', dataset: 'main', identity: 'id' }
const cid = (i: number): CidBytes => cborBlock(Uint8Array.of(i & 255, (i >> 8) & 255, i >> 16)).cid
const missing = (i: number): CairnError =>
  new CairnError('content_missing', `Block ${i} is missing.`, { cid: printCid(cid(i)) })

function found(...numbers: readonly number[]): Findings {
  const findings = new Findings()
  for (const i of numbers) findings.add(missing(i), 'content', cid(i))
  findings.blocks = 7
  findings.bytes = 70
  return findings
}

test('what was learned is there when it is opened again', async () => {
  const dir = await tempDir()
  const ledger = await Ledger.open(join(dir, 'deep', 'ledger'), OF)
  ledger.learn('leaf:new')
  ledger.proved('leaf:a', 1000, found())
  ledger.proved('leaf:b', 2000, found(1, 2))
  ledger.learn('chain:c', { next: { cid: null, at: 5 } })
  ledger.learn('spine:d', { canonical: true })
  await ledger.save()
  expect((await stat(ledger.path)).mode & 0o777).toBe(0o600)
  const again = await Ledger.open(join(dir, 'deep', 'ledger'), OF)
  expect(again.note).toBeUndefined()
  expect(again.size).toBe(5)
  for (const id of ['leaf:new', 'leaf:a', 'leaf:b', 'chain:c', 'spine:d'])
    expect(again.get(id)).toEqual(ledger.get(id))
  expect(again.get('leaf:b')).toMatchObject({ proved: 2000, blocks: 7, bytes: 70 })
  expect([...again.problems()].map(({ part }) => part)).toEqual(['leaf:b', 'leaf:b'])
})

test('a problem remembers when it was first seen, and goes when its part is proved without it', async () => {
  const ledger = await Ledger.open(await tempDir(), OF)
  ledger.proved('leaf:a', 1000, found(1, 2))
  ledger.proved('leaf:a', 2000, found(2, 3))
  expect(ledger.get('leaf:a').problems).toMatchObject([
    { message: 'Block 2 is missing.', firstSeen: 1000, lastSeen: 2000 },
    { message: 'Block 3 is missing.', firstSeen: 2000, lastSeen: 2000 },
  ])
  ledger.noted('leaf:a', 3000, found(3, 4))
  expect(ledger.get('leaf:a').proved).toBe(2000)
  expect(ledger.get('leaf:a').problems).toMatchObject([
    { message: 'Block 2 is missing.', firstSeen: 1000, lastSeen: 2000 },
    { message: 'Block 3 is missing.', firstSeen: 2000, lastSeen: 3000 },
    { message: 'Block 4 is missing.', firstSeen: 3000, lastSeen: 3000 },
  ])
  ledger.proved('leaf:a', 4000, found())
  expect([...ledger.problems()]).toEqual([])
})

test('each store, dataset and identity has a ledger of its own', async () => {
  const dir = await tempDir()
  const others: LedgerOf[] = [
    OF,
    { ...OF, location: 'lmdb:/b' },
    { ...OF, dataset: 'other' },
    { ...OF, identity: 'another' },
  ]
  const paths = await Promise.all(others.map(async (of) => (await Ledger.open(dir, of)).path))
  expect(new Set(paths).size).toBe(4)
})

test('a ledger that cannot be read is moved aside and begun anew', async () => {
  const dir = await tempDir()
  const ledger = await Ledger.open(dir, OF)
  ledger.proved('leaf:a', 1000, found(1))
  await ledger.save()
  const whole = await readFile(ledger.path, 'utf8')
  const wrong = [
    '',
    'garbage',
    whole.replace('ledger@v1', 'ledger@v9'),
    whole.replace('"identity":"id"', '"identity":"no"'),
    whole.replace('"state":"missing"', '"state":"fine"'),
    whole.replace('"proved":1000', '"proved":-1'),
    whole.replace('"cid":"', '"cid":5,"x":"'),
    `${whole}[]\n`,
    `${whole}{"id":1}\n`,
  ]
  for (const text of wrong) {
    await writeFile(ledger.path, text)
    const opened = await Ledger.open(dir, OF)
    expect(opened.note, text).toMatch(/could not be read/)
    expect(opened.size).toBe(0)
    expect([...opened.problems()]).toEqual([])
  }
  expect((await readdir(dir)).length).toBe(wrong.length)
  await writeFile(ledger.path, whole)
  await truncate(ledger.path, whole.length - 10)
  expect((await Ledger.open(dir, OF)).note).toMatch(/could not be read/)
})

test('problems beyond the limits are counted and not listed; parts that are none any more are forgotten', async () => {
  const ledger = await Ledger.open(await tempDir(), OF)
  const many = found(...Array.from({ length: 6000 }, (_, i) => i))
  for (let part = 0; part < 21; part++) ledger.proved(`leaf:${part}`, 1, many)
  expect([...ledger.problems()].length).toBe(100_000)
  expect(ledger.get('leaf:0')).toMatchObject({ unlisted: 1000 })
  expect(ledger.get('leaf:20')).toMatchObject({ problems: [], unlisted: 6000 })
  expect([...ledger.overfull()].length).toBe(21)
  ledger.keepOnly((id) => id !== 'leaf:0')
  ledger.proved('leaf:20', 2, many)
  expect(ledger.get('leaf:20')).toMatchObject({ unlisted: 1000 })
  expect([...ledger.problems()].length).toBe(100_000)
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readBackups } from '../../src/backup/folder.ts'
import { parseSidecar, printSidecar } from '../../src/backup/sidecar.ts'
import { isCairnError } from '../../src/errors.ts'
import { backup } from './backups.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cairn-folder-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text)

test('a folder that is not there has no backups', async () => {
  expect(await readBackups(join(folder, 'none'))).toEqual({
    backups: [],
    unfinished: [],
    damaged: [],
  })
})

test('only a CAR of the right size with a sidecar is a backup; the rest is told apart', async () => {
  for (const [i, name] of ['good', 'short'].entries()) {
    const { sidecar } = backup(name, { next: i, size_bytes: 4 })
    await write(`${name}.json`, printSidecar(sidecar))
  }
  await write('good.car', 'abcd')
  await write('short.car', 'abc')
  await write('bare.car.age', 'abcd')
  await write('broken.car', 'abcd')
  await write('broken.json', '{"schema":')
  await write('arke-4-20261121-035044.car', 'abcd')
  await write('arke-4-20261121-035044.json', '{"snapshot_cid":"bafy","seq":4}')
  await write('main-1-20261121-030405-abcdefgh.json', printSidecar(backup('gone').sidecar))
  await write('drill-report.json', '{}')
  await write('.x.car.1-aaaaaaaaaaaa.partial', 'abcd')
  const found = await readBackups(folder)
  expect(found.backups.map(({ sidecar }) => sidecar.filename)).toEqual(['good.car'])
  expect(found.unfinished).toEqual([join(folder, 'bare.car.age')])
  const damaged = found.damaged.map(({ path }) => path.slice(folder.length + 1)).sort()
  expect(damaged).toEqual([
    'arke-4-20261121-035044.car',
    'broken.car',
    'main-1-20261121-030405-abcdefgh.json',
    'short.car',
  ])
})

test('a sidecar that lies about the kind of any field is refused with a code', () => {
  const good = backup('one').sidecar
  expect(parseSidecar(printSidecar(good))).toEqual(good)
  fc.assert(
    fc.property(
      fc.constantFrom(
        'schema',
        'dataset',
        'seq',
        'timestamp',
        'since',
        'sha256',
        'encrypted_to',
        'next',
      ),
      fc.oneof(
        fc.constant(undefined),
        fc.constant({}),
        fc.constant(-1),
        fc.constant('../x'),
        // JSON writes what is no number as null, and null is a right value of two of these.
        fc.double({ noNaN: true, noDefaultInfinity: true }),
      ),
      (field, value) => {
        if (field === 'next' && Number.isSafeInteger(value) && Number(value) >= 0) return
        if (field === 'seq' && Number.isSafeInteger(value) && Number(value) >= 0) return
        const text = JSON.stringify({ ...good, [field]: value })
        let thrown: unknown
        try {
          parseSidecar(text)
        } catch (error) {
          thrown = error
        }
        expect(isCairnError(thrown, 'invalid_car')).toBe(true)
      },
    ),
  )
  for (const text of ['', '[]', 'null', '1', '"x"', '{}'])
    expect(() => parseSidecar(text)).toThrow(/sidecar/)
})

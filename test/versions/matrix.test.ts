/**
 * Readers by writers: today's Cairn reads what every version before it has written, exactly, or refuses it
 * as a whole with a code and a hint. And whoever changes what is written hears that a fixture is due.
 */
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import {
  dumpStore,
  fixtureNames,
  inTempDir,
  MANIFEST,
  STORE,
  unpackStore,
  writeFiles,
} from './fixture.ts'
import { OPERATIONS, outcomeOf, summed } from './operations.ts'
import { expectedEntities } from './recipe.ts'

interface Manifest {
  readonly format: string
  readonly entities: readonly string[]
  readonly answers: Readonly<Record<string, unknown>>
}

/** Formats that today's Cairn refuses. A name comes here when its reader is taken out, and never before. */
const NO_LONGER_READ: readonly string[] = []

const folder = fileURLToPath(new URL('../../fixtures/versions', import.meta.url))
const names = await fixtureNames(folder)

const readManifest = async (name: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, name, MANIFEST), 'utf8')) as Manifest

async function filesOf(name: string): Promise<Map<string, Buffer>> {
  const dir = join(folder, name)
  const files = (await readdir(dir)).map(
    async (file) => [file, await readFile(join(dir, file))] as const,
  )
  return new Map(await Promise.all(files))
}

test('there are fixtures, numbered without gaps', () => {
  expect(names).toEqual(names.map((_, i) => `format-${i + 1}`))
  expect(names.length).toBeGreaterThan(0)
  expect(names).toEqual(expect.arrayContaining([...NO_LONGER_READ]))
})

test.each(names)('%s is read exactly, or refused; never anything else', async (name) => {
  const before = await filesOf(name)
  const { answers } = await readManifest(name)
  const outcomes: Record<string, unknown> = {}
  for (const [operation, run] of Object.entries(OPERATIONS)) {
    // What a fixture of before this operation was there has no answer for is not asked.
    if (!(operation in answers)) continue
    const outcome = await outcomeOf(run(join(folder, name)))
    if (NO_LONGER_READ.includes(name) && 'refused' in outcome) {
      expect(outcome.refused, operation).toBe('format_unsupported')
      expect(outcome.hint, operation).toMatch(/version/)
      continue
    }
    outcomes[operation] = outcome
  }
  const expected = Object.entries(answers).filter(
    ([operation]) => operation in outcomes || !NO_LONGER_READ.includes(name),
  )
  expect(outcomes).toEqual(
    Object.fromEntries(expected.map(([operation, read]) => [operation, { read }])),
  )
  expect(await filesOf(name)).toEqual(before)
})

test.each(names)('the answers about %s are those of a plain map', async (name) => {
  const { entities, answers } = await readManifest(name)
  const lines = entities.toSorted()
  expect(answers['open full.car as a store']).toEqual(summed(lines))
  for (const operation of ['export', 'restore full.car', 'restore base.car and delta.car', 'prune'])
    expect(answers[operation], operation).toMatchObject({ lines: summed(lines) })
  const inOrder = lines.toSorted((a, b) => Buffer.compare(idOf(a), idOf(b)))
  expect(answers['list']).toEqual(summed(inOrder))
  expect(answers['list from an offset']).toEqual(inOrder.toReversed().slice(20, 25))
})

const idOf = (line: string): Buffer => Buffer.from(line.slice(0, line.lastIndexOf('@')))

test('what is written today is what the newest fixture holds', async () => {
  const newest = names.at(-1) ?? ''
  const stored = await filesOf(newest)
  await inTempDir(async (dir) => {
    const made = join(dir, 'made')
    await writeFiles(made)
    const different: string[] = []
    for (const file of await readdir(made)) {
      const bytes = stored.get(file)
      const same =
        file === STORE
          ? await sameTables(join(folder, newest), made, dir)
          : bytes?.equals(await readFile(join(made, file))) === true
      if (!same) different.push(file)
    }
    expect(different, reminder(newest, different)).toEqual([])
  })
  expect((await readManifest(newest)).entities).toEqual(expectedEntities())
})

async function sameTables(stored: string, made: string, temp: string): Promise<boolean> {
  const dumps: string[][] = []
  for (const [i, fixture] of [stored, made].entries()) {
    const dir = join(temp, `tables-${i}`)
    await unpackStore(fixture, dir)
    dumps.push(await dumpStore(dir).catch((error: unknown) => [String(error)]))
  }
  expect(dumps[1]?.length).toBeGreaterThan(100)
  return JSON.stringify(dumps[0]) === JSON.stringify(dumps[1])
}

function reminder(newest: string, files: readonly string[]): string {
  return [
    `Cairn writes other bytes than fixtures/versions/${newest} holds: ${files.join(', ')}.`,
    'If that was not meant, it is a fault. If it was: raise the schema tag of each record that changed',
    '(src/model/schema.ts; FORMAT in src/backend/lmdb/tables.ts), keep the reader of the old one, then run',
    '  node scripts/versions.mjs',
    'which adds the next fixture. Never change or remove an older one. See "Versions" in docs/FORMAT.md.',
  ].join('\n')
}

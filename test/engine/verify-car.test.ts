import { readFileSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { expect, onTestFinished, test } from 'vitest'
import { CarFile } from '../../src/car/file.ts'
import { FileSink } from '../../src/car/file-sink.ts'
import { CarV2Writer } from '../../src/car/writer-v2.ts'
import { CarWriter } from '../../src/car/writer.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { failedVerification, type CarVerification } from '../../src/engine/car-verification.ts'
import { verifyCar } from '../../src/engine/verify-car.ts'
import { rawCidOf, printCid, type Block, type CidBytes } from '../../src/model/cid.ts'
import { carPath, writeCar } from '../helpers/cars.ts'
import { openTest, refusal, type Opened } from '../helpers/engine.ts'

async function openedCar(path: string): Promise<CarFile> {
  const car = await CarFile.open(path)
  onTestFinished(async () => {
    await car.close()
    await rm(path, { force: true })
  })
  return car
}

async function exportedCar(
  dataset: Dataset,
  options: Parameters<typeof writeCar>[2] = {},
): Promise<CarFile> {
  const path = carPath()
  await writeCar(dataset, path, options)
  return openedCar(path)
}

async function carOf(roots: readonly CidBytes[], blocks: readonly Block[]): Promise<CarFile> {
  const path = carPath()
  const handle = await open(path, 'w')
  const writer = await CarWriter.begin(new FileSink(handle), roots)
  for (const { cid, bytes } of blocks) await writer.put(cid, bytes)
  await writer.finish()
  await handle.close()
  return openedCar(path)
}

async function blocksOf(car: CarFile): Promise<Block[]> {
  const blocks: Block[] = []
  for await (const batch of car.sections()) blocks.push(...batch)
  return blocks
}

async function makeDataset(entities = 500): Promise<Opened> {
  const opened = await openTest({ init: { content: 'linked', chunkSize: 64 } })
  const { dataset } = opened
  await dataset.putBatch(
    Array.from({ length: entities }, (_, i) => ({ pi: `e${i}`, value: { i } })),
  )
  await dataset.append({ pi: 'e3', tip: null })
  await dataset.build()
  await dataset.put(
    'big',
    new Uint8Array(3_000_000).map((_, i) => i % 251),
  )
  await dataset.append({ pi: 'e5', tip: null })
  return opened
}

const summary = ({ verdict, problemCount, unreached }: CarVerification): unknown => ({
  verdict,
  problemCount,
  unreached,
})
const WHOLE = { verdict: 'whole', problemCount: 0, unreached: 0 }

test('what was exported is whole, in every content mode and of either version', async () => {
  const { dataset } = await makeDataset()
  for (const content of ['full', 'tips', 'index'] as const) {
    const car = await exportedCar(dataset, { content })
    const report = await verifyCar([car])
    expect(summary(report)).toEqual(WHOLE)
    expect(report.counts.checkpoint + report.counts.snapshot).toBe(2)
    expect(report.counts.content > 0).toBe(content !== 'index')
    const counted = Object.values(report.counts).reduce((sum, count) => sum + count, 0)
    expect([counted, report.sections]).toEqual([car.blockCount, car.blockCount])
    expect(failedVerification(report)).toBeUndefined()
  }
  const path = carPath()
  const handle = await open(path, 'w+')
  await dataset.exportCar((root) => CarV2Writer.begin(handle, [root]))
  await handle.close()
  const second = await openedCar(path)
  expect(second.version).toBe(2)
  expect(summary(await verifyCar([second]))).toEqual(WHOLE)
})

test('a kept snapshot without a chain, an empty dataset and external content are whole', async () => {
  const { dataset } = await makeDataset()
  expect(summary(await verifyCar([await exportedCar(dataset, { snapshot: 'latest' })]))).toEqual(
    WHOLE,
  )
  const empty = await openTest()
  expect(summary(await verifyCar([await exportedCar(empty.dataset)]))).toEqual(WHOLE)
  await empty.dataset.append({ pi: 'x', tip: rawCidOf(Buffer.from('elsewhere')) })
  expect(summary(await verifyCar([await exportedCar(empty.dataset)]))).toEqual(WHOLE)
})

test('the same bytes under two codecs are two blocks, each with what is under it', async () => {
  const { dataset } = await openTest({ init: { content: 'linked' } })
  const below = await dataset.put('below', { in: 'the middle of two' })
  const value = { link: CID.decode(below.tip) }
  await dataset.put('raw', dagCbor.encode(value))
  await dataset.put('value', value)
  const car = await exportedCar(dataset)
  expect(car.duplicates).toBe(1)
  expect(summary(await verifyCar([car]))).toEqual(WHOLE)
  const blocks = await blocksOf(car)
  const again = await carOf(car.roots, [...blocks, blocks.at(-1) ?? expect.fail('none')])
  const { duplicates, problems } = await verifyCar([again])
  expect([duplicates, problems.map(({ code }) => code)]).toEqual([1, ['invalid_car']])
})

test('of a delta what it has is proved, and with its base everything', async () => {
  const { dataset, clock } = await makeDataset()
  await dataset.build()
  const base = await exportedCar(dataset)
  clock.now += 1
  await dataset.put('e7', { again: true })
  await dataset.build()
  await dataset.put('e8', { third: true })
  const delta = await exportedCar(dataset, { since: 'latest~1' })
  const alone = await verifyCar([delta])
  expect(summary(alone)).toEqual(WHOLE)
  expect(alone.states.map(({ scope }) => scope)).toEqual(['delta'])
  const together = await verifyCar([base, delta])
  expect(summary(together)).toEqual(WHOLE)
  expect(together.states.map(({ scope }) => scope)).toEqual(['all', 'all'])
  // A chain block is never the base's.
  const blocks = await blocksOf(delta)
  const chain = blocks.at(-2) ?? expect.fail('no block')
  const cut = await carOf(
    delta.roots,
    blocks.filter((block) => block !== chain),
  )
  expect(summary(await verifyCar([cut]))).toMatchObject({ verdict: 'incomplete', problemCount: 1 })
  const withoutLeaf = await carOf(
    base.roots,
    (await blocksOf(base)).filter((_, i) => i !== 5),
  )
  expect(summary(await verifyCar([withoutLeaf, delta]))).not.toMatchObject({ verdict: 'whole' })
})

test('every damaged block is named where it stands, not the first one only', async () => {
  const { dataset } = await makeDataset()
  const whole = await exportedCar(dataset)
  const sections: { cid: CidBytes; offset: number; length: number }[] = []
  for await (const batch of whole.sections())
    for (const { cid, bytes, offset } of batch) sections.push({ cid, offset, length: bytes.length })
  const chosen = [4, 20, 77, sections.length - 1].map((i) => sections[i] ?? expect.fail('none'))
  const path = carPath()
  const handle = await open(path, 'w+')
  await handle.writeFile(readFileSync(whole.path))
  for (const { offset, length } of chosen) {
    await handle.write(Buffer.of(0xff), 0, 1, offset + 40 + (length > 100 ? 5 : 0))
  }
  await handle.close()
  const report = await verifyCar([await openedCar(path)])
  expect(report.verdict).toBe('damaged')
  const named = report.problems.map(({ code, cid, offset, path: file }) => [
    code,
    cid,
    offset,
    file,
  ])
  expect(named).toEqual(
    chosen.map(({ cid, offset }) => ['block_mismatch', printCid(cid), offset, path]),
  )
  expect(failedVerification(report)).toMatchObject({ code: 'damage_found', exitCode: 4 })
})

test('a lost branch does not make all under it unreachable ones', async () => {
  const { dataset } = await makeDataset()
  const whole = await exportedCar(dataset)
  const blocks = await blocksOf(whole)
  // The checkpoint, the header, the branch.
  const report = await verifyCar([await carOf(whole.roots, blocks.toSpliced(2, 1))])
  expect(summary(report)).toMatchObject({ verdict: 'incomplete', problemCount: 1 })
  expect(report.unreached).toBeGreaterThan(400)
  expect(report.problems[0]).toMatchObject({ code: 'block_missing', offset: null, path: null })
  expect(failedVerification(report)).toMatchObject({ code: 'blocks_missing', exitCode: 5 })
})

test('of many problems the first are kept and all are counted', async () => {
  const { dataset } = await makeDataset(1500)
  const whole = await exportedCar(dataset)
  const wrong = (await blocksOf(whole)).map((block, i) =>
    i < 2 || block.bytes.length > 100 ? block : { ...block, bytes: Buffer.from('other') },
  )
  const report = await verifyCar([await carOf(whole.roots, wrong)])
  expect(report.problemCount).toBeGreaterThan(1400)
  expect(report.problems).toHaveLength(1000)
})

test('several roots are verified, each, and those that are no states are named', async () => {
  const { dataset } = await makeDataset()
  const first = await exportedCar(dataset)
  await dataset.put('e1', 'later')
  const second = await exportedCar(dataset)
  const unique = new Map(
    [...(await blocksOf(first)), ...(await blocksOf(second))].map((block) => [
      printCid(block.cid),
      block,
    ]),
  )
  const roots = [...first.roots, ...second.roots]
  const both = await carOf(roots, [...unique.values()])
  const report = await verifyCar([both])
  expect(summary(report)).toEqual(WHOLE)
  expect(report.states).toHaveLength(2)
  const twice = await carOf([...roots, ...second.roots], [...unique.values()])
  const problems = (await verifyCar([twice])).problems.map(({ code, offset }) => [code, offset])
  expect(problems).toEqual([['invalid_car', 0]])
})

test('it can be stopped, and says how far it is', async () => {
  const { dataset } = await makeDataset()
  const car = await exportedCar(dataset)
  const steps = new Set<string>()
  await verifyCar([car], { onProgress: ({ step }) => steps.add(step) })
  expect([...steps]).toContain('hash')
  const error = await refusal(verifyCar([car], { signal: AbortSignal.abort() }))
  expect(error.code).toBe('aborted')
})

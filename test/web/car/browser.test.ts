/** A CAR in a real browser: the worker finds in it what the same code finds on Node, word for word. */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSession } from '../../../web/src/car/session.ts'
import type { openCar } from '../../../web/src/car/client.ts'
import { toCairnError } from '../../../src/errors.ts'
import { openCarPage, type CarPage } from './car-page.ts'

declare const document: { querySelector(selector: string): { files: ArrayLike<File> } }
declare const window: { openCar: typeof openCar }

const FIXTURES = fileURLToPath(new URL('../../../fixtures/', import.meta.url))
const carsIn = (folder: string): string[] =>
  readdirSync(join(FIXTURES, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.car'))
    .toSorted()
    .map((name) => join(FIXTURES, folder, name))

let served: CarPage

beforeAll(async () => {
  served = await openCarPage('served')
})

afterAll(async () => {
  await served.close()
})

/** What opening and verifying says, as it is on Node. */
async function foundHere(path: string): Promise<unknown> {
  try {
    const session = await openSession([{ name: basename(path), path }])
    try {
      const { summary } = session
      return { summary, report: await session.verify() }
    } finally {
      await session.close()
    }
  } catch (thrown) {
    const { code, message, hint, details } = toCairnError(thrown)
    return { error: { code, message, hint, offset: details['offset'] } }
  }
}

/** The same of all files that were chosen, each for itself. */
async function foundThere({ page }: CarPage, paths: readonly string[]): Promise<unknown[]> {
  await page.setInputFiles('input', [...paths])
  return page.evaluate(async () => {
    const found: unknown[] = []
    for (const file of Array.from(document.querySelector('input').files)) {
      try {
        const car = await window.openCar([file])
        try {
          found.push({ summary: car.summary, report: await car.verify() })
        } finally {
          car.close()
        }
      } catch (thrown) {
        const { code, message, hint, details } = thrown as ReturnType<typeof toCairnError>
        found.push({ error: { code, message, hint, offset: details['offset'] } })
      }
    }
    return found
  })
}

/** Here a file has its path, there its name. */
const byName = (found: unknown, path: string): unknown =>
  JSON.parse(JSON.stringify(found).replaceAll(path, basename(path)))

async function expectSame(page: CarPage, paths: readonly string[]): Promise<void> {
  const there = await foundThere(page, paths)
  for (const [i, path] of paths.entries()) {
    const here = byName(await foundHere(path), path)
    expect(there[i], basename(path)).toEqual(here)
  }
  expect(page.complaints).toEqual([])
}

test('every corrupt CAR is judged as on the command line: same verdict, problems and offsets', async () => {
  const paths = carsIn('corrupt')
  expect(paths.length).toBeGreaterThan(60)
  await expectSame(served, paths)
})

test('so is one of every version of the format, and one of another system', async () => {
  await expectSame(served, [...carsIn('versions'), ...carsIn('arke')])
})

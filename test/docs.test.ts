/** Documents that repeat what code says must say the same. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { ERROR_CODES } from '../src/errors.ts'

const read = (path: string): Promise<string> =>
  readFile(new URL(`../${path}`, import.meta.url), 'utf8')

test('docs/ERRORS.md has every error code with its exit code and HTTP status, and no other', async () => {
  const rows = [...(await read('docs/ERRORS.md')).matchAll(/^\| `(\w+)` +\| (\d+) +\| (\d+) +\|/gm)]
  const documented = Object.fromEntries(
    rows.map(([, code, exit, http]) => [code, { exit: Number(exit), http: Number(http) }]),
  )
  expect(documented).toEqual(ERROR_CODES)
})

test('every file that a document links to is there', async () => {
  const documents = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
  ]
  const broken: string[] = []
  for (const document of documents) {
    for (const [, target] of (await read(document)).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      await read(target ?? '').catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EISDIR') broken.push(`${document}: ${target}`)
      })
    }
  }
  expect(broken).toEqual([])
})

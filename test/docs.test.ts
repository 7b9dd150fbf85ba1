/** Documents that repeat what code says must say the same. */
import { access, readFile, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
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

const FOLDERS = ['docs', 'docs/tutorials', 'docs/guides', 'docs/explain', 'docs/adr']

/** All Markdown of the project, by its path. */
async function documents(): Promise<ReadonlyMap<string, string>> {
  const folders = ['.', ...FOLDERS, 'fixtures']
  const found = new Map<string, string>()
  for (const folder of folders) {
    const names = await readdir(new URL(`../${folder}`, import.meta.url))
    for (const path of names.filter((name) => name.endsWith('.md')).map((n) => join(folder, n)))
      found.set(path, await read(path))
  }
  return found
}

const withoutCode = (page: string): string => page.replaceAll(/^ *```.*?^ *```/gms, '')

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = withoutCode(page).matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

test('every file and heading that a document links to is there', async () => {
  const pages = await documents()
  const broken: string[] = []
  for (const [path, page] of pages) {
    const links = withoutCode(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)
    for (const [link, file = '', anchor] of links) {
      const target = file === '' ? path : join(dirname(path), file)
      const there = await access(new URL(`../${target}`, import.meta.url)).then(
        () => anchor === undefined || anchorsOf(pages.get(target) ?? '').has(anchor),
        () => false,
      )
      if (!there) broken.push(`${path}: ${link}`)
    }
  }
  expect(broken).toEqual([])
})

test('every decision that a document names is written down', async () => {
  const pages = await documents()
  const numbers = [...pages.keys()].flatMap((path) => /adr\/(\d{4})-/.exec(path)?.[1] ?? [])
  expect(numbers).toEqual(numbers.map((_, i) => String(i + 1).padStart(4, '0')))
  const named = [...pages.values()].flatMap((page) => [...page.matchAll(/\bADR (\d+)/g)])
  expect(named.map(([, n]) => Number(n)).filter((n) => n < 1 || n > numbers.length)).toEqual([])
})

/** Every command in a document is run by a test, or is marked, and counted here. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { asShown, blocksOf, commandCount, isRun, type Block } from './blocks.ts'
import { readPage, ROOT } from './run-page.ts'

/** Who runs the shell of a page; a second test where a chapter has its own. */
const RUN_BY: Readonly<Record<string, readonly string[]>> = {
  'README.md': ['test/docs/readme-page.test.ts', 'test/ops/service-docs.test.ts'],
  'docs/CLI.md': ['test/docs/cli-examples.test.ts'],
  'docs/DEPLOY.md': ['test/deploy/server.test.ts'],
  'docs/METRICS.md': ['test/docs/guides.test.ts'],
  'docs/OPERATIONS.md': ['test/docs/operations-page.test.ts', 'test/ops/operations.test.ts'],
  'docs/SERVICE.md': ['test/ops/service-docs.test.ts'],
  'docs/UPGRADE.md': ['test/deploy/upgrade-docs.test.ts'],
  'docs/tutorials/archive.md': ['test/docs/kubo-guides.test.ts'],
  'docs/tutorials/server.md': ['test/docs/guides.test.ts'],
  'docs/guides/cluster.md': ['test/cluster/guide.test.ts'],
  'docs/guides/bucket.md': ['test/docs/guides.test.ts'],
  'docs/guides/disaster.md': ['test/docs/guides.test.ts'],
  'docs/guides/encrypt.md': ['test/docs/guides.test.ts'],
  'docs/guides/offsite.md': ['test/docs/guides.test.ts'],
  'docs/TROUBLESHOOTING.md': ['test/docs/live-state.test.ts'],
  'docs/guides/gateway.md': ['test/docs/gateway-guide.test.ts'],
  'docs/guides/live-state.md': ['test/docs/live-state.test.ts'],
  'docs/guides/page-entities.md': ['test/docs/guides.test.ts'],
  'docs/guides/prometheus.md': ['test/docs/guides.test.ts'],
  'docs/guides/python-state.md': ['test/docs/guides.test.ts'],
  'docs/guides/radish.md': ['test/docs/radish-guide.test.ts'],
  'docs/guides/replicas.md': ['test/docs/replicas-guide.test.ts'],
  'docs/guides/stock-tools.md': ['test/docs/kubo-guides.test.ts'],
  'docs/guides/systemd.md': ['test/docs/guides.test.ts'],
  'docs/guides/to-kubo.md': ['test/docs/kubo-guides.test.ts'],
  'docs/guides/verify-repair.md': ['test/docs/guides.test.ts'],
}

/** Commands that are not run, by page: each is marked with why, or lies in a text that says so. */
const NOT_RUN: Readonly<Record<string, number>> = {
  'CONTRIBUTING.md': 18,
  'README.md': 5,
  'docs/CLI.md': 1,
  'docs/DEPLOY.md': 4,
  'docs/OPERATIONS.md': 10,
  'docs/PAGE.md': 1,
  'docs/SERVICE.md': 3,
  'docs/UPGRADE.md': 13,
  'docs/guides/cluster.md': 20,
  'docs/guides/offsite.md': 2,
  'docs/guides/bucket.md': 7,
  'docs/guides/radish.md': 2,
  'docs/guides/replicas.md': 6,
  'docs/guides/systemd.md': 11,
  'fixtures/README.md': 3,
}

/** Programs in TypeScript, JavaScript and Python, and who runs them. */
const PROGRAMS: Readonly<Record<string, string>> = {
  'README.md': 'test/readme.test.ts',
  'docs/CLIENTS.md': 'test/client/docs.test.ts',
  'clients/python/README.md': 'test/client/docs.test.ts',
}

async function documents(): Promise<string[]> {
  const top = (await readdir(ROOT)).filter((name) => name.endsWith('.md'))
  const docs = await readdir(join(ROOT, 'docs'), { recursive: true })
  // Where the site was built its copies lie there, too.
  const written = docs.filter((name) => name.endsWith('.md') && !name.startsWith('site/'))
  const more = written.map((name) => join('docs', name))
  return [...top, ...more, 'clients/python/README.md', 'fixtures/README.md', 'backups/README.md']
}

async function blocksByPage(): Promise<[string, Block[]][]> {
  const pages = await documents()
  return await Promise.all(
    pages.map(async (page): Promise<[string, Block[]]> => [page, blocksOf(await readPage(page))]),
  )
}

/** Commands in a block that is shown as text, since it cannot be run where the page is. */
const LOOKS_LIKE_COMMANDS =
  /^(?:docker|git|systemctl|cp|cd|ipfs|cairn|npm|\/opt\/\S+|[A-Z_]+=\S+ \w+) /m

const notRun = (blocks: readonly Block[]): number =>
  blocks
    .filter(
      ({ language, notRun, code }) =>
        (language === 'sh' && notRun !== undefined) ||
        (language === 'text' && LOOKS_LIKE_COMMANDS.test(code)),
    )
    .reduce((all, { code }) => all + commandCount(code), 0)

test('every page with commands has a test that runs them, which names the page', async () => {
  const problems: string[] = []
  for (const [page, blocks] of await blocksByPage()) {
    const tests = RUN_BY[page] ?? []
    if (blocks.some(isRun) && tests.length === 0) problems.push(`${page}: nobody runs it`)
    if (!blocks.some(isRun) && tests.length > 0) problems.push(`${page} has nothing to run`)
    for (const path of tests)
      if (!(await readPage(path)).includes(page)) problems.push(`${path} does not name ${page}`)
  }
  expect(problems).toEqual([])
})

test('what is not run is marked, and there is no more of it than this', async () => {
  const counted = (await blocksByPage())
    .map(([page, blocks]): [string, number] => [page, notRun(blocks)])
    .filter(([, count]) => count > 0)
  expect(Object.fromEntries(counted)).toEqual(NOT_RUN)
})

test('every program on a page is kept as a file that a command runs, or has its own test', async () => {
  const problems: string[] = []
  for (const [page, blocks] of await blocksByPage())
    for (const { language, file, line } of blocks) {
      if (!['js', 'ts', 'python'].includes(language)) continue
      const used = blocks.some((block) => isRun(block) && block.code.includes(file ?? '\0'))
      if (!used && PROGRAMS[page] === undefined) problems.push(`${page}:${line}`)
    }
  expect(problems).toEqual([])
})

test('what a page says is printed is compared as it is said', () => {
  expect(asShown('a\nb', 'a\nb\n')).toBe(true)
  expect(asShown('a', 'a\nb')).toBe(false)
  expect(asShown('root ... x.y', 'root  bafy x.y')).toBe(true)
  expect(asShown('root x.y', 'root xzy')).toBe(false)
  expect(asShown('...\nb', 'b')).toBe(true)
  expect(asShown('...\nb', 'a\na\nb')).toBe(true)
  expect(asShown('a\n...', 'a')).toBe(true)
  expect(asShown('a\n...\nc', 'a\nb\nb\nc')).toBe(true)
  expect(asShown('a\n...\nc', 'a\nb\nb\nd')).toBe(false)
})

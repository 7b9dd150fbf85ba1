/** The program in README.md must type-check as it stands, strictly, and run. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { builtDist } from './helpers/built.ts'
import { tempDir } from './helpers/engine.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)

/** The first TypeScript example of the page. */
async function example(): Promise<string> {
  const page = await readFile(join(ROOT, 'README.md'), 'utf8')
  return /```ts\n(.*?)```/s.exec(page)?.[1] ?? ''
}

test('the program in README.md type-checks as it stands, and does what it says', async () => {
  const code = await example()
  expect(code).toContain("from 'cairn-store'")
  const folder = join(ROOT, 'node_modules', '.cache', 'cairn-readme')
  await mkdir(folder, { recursive: true })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const source = code.replace("'cairn-store'", "'../../../src/index.ts'")
  await writeFile(join(folder, 'example.ts'), source)
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../../../tsconfig.json', include: ['example.ts'] }),
  )
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const checked = run(process.execPath, [tsc, '-p', join(folder, 'tsconfig.json')])
  await expect(checked.catch((error: { stdout: string }) => error.stdout)).resolves.toMatchObject({
    stdout: '',
  })

  // The example has no types of its own, so it runs as it is.
  const built = code.replace("'cairn-store'", JSON.stringify(join(await builtDist(), 'index.js')))
  await writeFile(join(folder, 'example.mjs'), built)
  const { stdout } = await run(process.execPath, [join(folder, 'example.mjs')], {
    cwd: await tempDir(),
  })
  expect(stdout).toMatch(/^\{ name: 'Ada' \}\nbafyrei\w+\n$/)
})

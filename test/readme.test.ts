/** The programs in README.md must type-check as they stand, strictly, and run, one after another. */
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

/** The TypeScript examples of the page. */
async function examples(): Promise<string[]> {
  const page = await readFile(join(ROOT, 'README.md'), 'utf8')
  return [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code ?? '')
}

test('the programs in README.md type-check as they stand, and do what they say', async () => {
  const codes = await examples()
  const folder = join(ROOT, 'node_modules', '.cache', 'cairn-readme')
  await mkdir(folder, { recursive: true })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [i, code] of codes.entries()) {
    expect(code).toContain("from 'cairn-store'")
    const source = code.replace("'cairn-store'", "'../../../src/index.ts'")
    await writeFile(join(folder, `example-${i}.ts`), source)
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../../../tsconfig.json', include: ['example-*.ts'] }),
  )
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const checked = run(process.execPath, [tsc, '-p', join(folder, 'tsconfig.json')])
  await expect(checked.catch((error: { stdout: string }) => error.stdout)).resolves.toMatchObject({
    stdout: '',
  })

  // The examples have no types of their own, so they run as they are.
  const index = JSON.stringify(join(await builtDist(), 'index.js'))
  const cwd = await tempDir()
  const said: string[] = []
  for (const [i, code] of codes.entries()) {
    const program = join(folder, `example-${i}.mjs`)
    await writeFile(program, code.replace("'cairn-store'", index))
    said.push((await run(process.execPath, [program], { cwd })).stdout)
  }
  expect(said).toEqual([expect.stringMatching(/^\{ name: 'Ada' \}\nbafyrei\w+\n$/), 'restored 1\n'])
})

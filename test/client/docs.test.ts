/** The programs in docs/CLIENTS.md and in the README of the client in Python run as they stand. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { tempDir } from '../helpers/engine.ts'
import { startService } from '../helpers/service.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

async function examples(page: string, language: string): Promise<string[]> {
  const text = await readFile(join(ROOT, page), 'utf8')
  return [...text.matchAll(/```(\w+)\n(.*?)```/gs)].flatMap(([, found, code = '']) =>
    found === language ? [code] : [],
  )
}

test('the examples of the clients do what they say', async () => {
  const { url } = await startService({ init: { content: 'linked' } })
  const cwd = await tempDir()
  const python = join(ROOT, 'clients', 'python')
  const env = { ...process.env, CAIRN_URL: url, PYTHONPATH: python, PYTHONDONTWRITEBYTECODE: '1' }
  const said: string[] = []
  const client = join(await builtDist(), 'client', 'index.js')
  for (const code of await examples('docs/CLIENTS.md', 'js')) {
    const program = join(cwd, `example-${said.length}.mjs`)
    expect(code).toContain("from 'cairn-store/client'")
    await writeFile(program, code.replace("'cairn-store/client'", JSON.stringify(client)))
    said.push((await run(process.execPath, [program], { cwd, env })).stdout)
  }
  for (const page of ['docs/CLIENTS.md', 'clients/python/README.md'])
    for (const code of await examples(page, 'python'))
      said.push((await run('python3', ['-W', 'error', '-c', code], { cwd, env })).stdout)
  expect(said).toEqual([
    'Ada\nuser:2 1\nuser:3 1\n2\n',
    'bytes 3000000\ntrue\n',
    '0 user:1\n1 user:2\n2 user:3\n3 user:1\n4 picture\n5 door\n',
    'ada 3\ngrace 5\nguest 1\ntrue\n',
    'Joan\n3\nTrue\n',
    'sensor:7 1\nconflict 1\n[1]\nNone\n',
    "4 {'score': 3} ['alice', 'avatar', 'bob', 'token']\nTrue\n",
  ])
})

/** docs/HTTP.md is what the code says, and the rights in it are those that are asked for. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createToken } from '../../src/service/access/token-file.ts'
import { builtDist } from '../helpers/built.ts'
import { startService } from '../helpers/service.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)
const page = await readFile(new URL('../../docs/HTTP.md', import.meta.url), 'utf8')

/** The rows of the table of all calls. */
const CALLS = [...page.matchAll(/^\| `(\w+) (\/\S*)` +\| (.+?) +\|/gm)].map(
  ([, method = '', url = '', right = '']) => ({ method, url, right: right.replaceAll('`', '') }),
)

test('docs/HTTP.md is made from the OpenAPI document of the code as it is', async () => {
  const script = `${ROOT}scripts/http-docs.mjs`
  const args = [script, '--check', '--dist', await builtDist()]
  const checked = run(process.execPath, args, { cwd: ROOT })
  await expect(checked.catch((error: { stderr: string }) => error.stderr)).resolves.toMatchObject({
    stdout: 'docs/HTTP.md is as the code says\n',
  })
})

test('each call on the page exists, and is refused without the right that the page names', async () => {
  expect(CALLS.length).toBeGreaterThan(40)
  const { url, service, request } = await startService()
  const path = service.values().tokens_file
  const made = async (name: string, right: 'read' | 'append' | 'admin'): Promise<string> =>
    (await createToken(path, { name, right, datasets: undefined })).token
  const tokens = { read: await made('r', 'read'), append: await made('w', 'append') }
  service.tokens.reload()
  const below = { append: tokens.read, admin: tokens.append } as const
  const wrong: unknown[] = []
  for (const { method, url: pattern, right } of CALLS) {
    const at = pattern.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      name === 'dataset' ? 'main' : 'x',
    )
    const bare = await request(method, at)
    if (bare.status === 405) wrong.push([method, url, 'no such method'])
    const lacks = bare.status === 401
    if (lacks !== (right !== 'for everybody')) wrong.push([method, pattern, right, bare.status])
    if (right !== 'append' && right !== 'admin') continue
    const headers = { authorization: `Bearer ${below[right]}` }
    const { status } = await request(method, at, undefined, headers)
    if (status !== 403) wrong.push([method, pattern, right, status])
  }
  expect(wrong).toEqual([])
})

/** verify-entity: what it finds, and what it must not overlook. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeKit, type Kit } from './kit.ts'

let kit: Kit

beforeAll(async () => {
  kit = await makeKit()
})

afterAll(() => kit.box.remove())

test('verify-entity goes through all its steps', async () => {
  const env = { DATA_DIR: kit.box.path('whole') }
  const page = await kit.box.write('page.bin', 'x'.repeat(3 << 20))
  const { tip: file } = await kit.box.json(['put', 'page', page], { env })
  const manifest = `{"parts":[{"/":"${String(file)}"}],"note":{"/":{"bytes":"AAAA"}}}`
  await kit.box.ok(['put', 'book', '--value', manifest], { env })
  const { code, stdout } = await kit.run('verify-entity.sh', ['book', '--dataset', 'main'], env)
  expect(code).toBe(0)
  expect(stdout).toContain('values and files: 2')
  expect(stdout).toMatch(/\n✓ Entity fully accessible!\n$/)

  await kit.box.ok(['build-snapshot'], { env })
  await kit.box.ok(['put', 'other', '--value', '1'], { env })
  await kit.box.ok(['build-snapshot'], { env })
  await kit.run('cleanup-old-snapshots.sh', [], { ...env, KEEP_LAST: '1' })
  expect((await kit.run('verify-entity.sh', ['book'], env)).code).toBe(0)
})

test('verify-entity tells an entity that is not there, and one whose content is damaged', async () => {
  const env = { DATA_DIR: kit.box.path('damaged') }
  await kit.box.ok(['put', 'k-1', '--value', '1'], { env })
  await kit.box.ok(['append', 'k-1', '--delete'], { env })
  for (const pi of ['nobody', 'k-1', '-x']) {
    const { code, stdout, stderr } = await kit.run('verify-entity.sh', [pi], env)
    expect(code).toBe(10)
    expect(stdout).not.toContain('fully accessible')
    expect(stderr).toContain(`✗ Entity not accessible: ${pi}`)
  }
  expect((await kit.run('verify-entity.sh', [], env)).code).toBe(2)
  const marker = 'a text that stands in one block only'
  const { tip } = await kit.box.json(['put', 'inner', '--value', `"${marker}"`], { env })
  await kit.box.ok(['put', 'outer', '--value', `{"to":{"/":"${String(tip)}"}}`], { env })
  const file = join(env.DATA_DIR, 'store', 'data.mdb')
  const bytes = await readFile(file)
  for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) bytes[at] = 0x41
  await writeFile(file, bytes)
  const { code, stderr } = await kit.run('verify-entity.sh', ['outer'], env)
  expect(code).toBe(4)
  expect(stderr).toContain('✗ Entity not accessible: outer')
})

/** The tutorials and how-to guides for the embedded store: all that they tell people to type, run as it stands. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { startMinio } from '../helpers/minio.ts'
import { promtoolPath } from '../helpers/prometheus.ts'
import { ROOT, runPage } from './run-page.ts'

test('docs/tutorials/server.md', { timeout: 300_000 }, async () => {
  await runPage('docs/tutorials/server.md')
})

test('docs/guides/offsite.md', { timeout: 300_000 }, async () => {
  await using minio = await startMinio()
  const place = `s3://${await minio.newBucket()}/cairn?endpoint=${minio.endpoint}`
  const env = { ...minio.env, CAIRN_OFFSITE: place }
  const { stdout } = await runPage('docs/guides/offsite.md', { env })
  expect(stdout).toMatch(/seq:0 [^]*whole: [^]*keep {4}main-/)
})

test('docs/guides/bucket.md', { timeout: 300_000 }, async () => {
  await using minio = await startMinio()
  const store = `s3://${await minio.newBucket()}/cairn?endpoint=${minio.endpoint}`
  const env = { ...minio.env, CAIRN_STORE: store }
  const { stdout } = await runPage('docs/guides/bucket.md', { env })
  const roots = stdout.match(/root\s+\S+/g) ?? []
  expect(stdout).toMatch(/page:1[^]*healthy, 0 warnings/)
  expect(roots).toHaveLength(2)
  expect(roots[1]).toBe(roots[0])
})

test('docs/guides/encrypt.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/guides/encrypt.md')
  expect(stdout).toMatch(/\.car\.age: OK\n[^]*whole: [^]*passed: /)
})

test('docs/guides/disaster.md', { timeout: 300_000 }, async () => {
  const before = `
    cairn put page:1 --value '"kept"' --store lmdb:gone >"$RUN/before"
    cairn export-car --store lmdb:gone --out main.car >>"$RUN/before"`
  const { stdout } = await runPage('docs/guides/disaster.md', { before })
  expect(stdout).toMatch(/whole: [^]*entities {2}1\n[^]*sound: /)
})

/** Damages a content on the disk, where nothing but a hash can see it. */
const DAMAGE = `
  cairn put page:1 --value '"a text that can be found"' >"$RUN/before"
  cairn build-snapshot >>"$RUN/before"
  cairn export-car --out main.car >>"$RUN/before"`

const SPOIL = `
  sed -i 's/a text that can be found/a text that can be fouls/' .cairn/store/data.mdb
  cairn verify >>"$RUN/before" || test $? -eq 4`

test('docs/guides/verify-repair.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/guides/verify-repair.md', {
    before: DAMAGE,
    beforeBlock: { '--dry-run': SPOIL },
  })
  expect(stdout).toContain('corrupt')
})

const library = async (): Promise<string> => join(await builtDist(), 'index.js')

test('docs/guides/page-entities.md', { timeout: 300_000 }, async () => {
  const index = JSON.stringify(await library())
  const { stdout } = await runPage('docs/guides/page-entities.md', {
    here: (code) => code.replace("'cairn-store'", index),
  })
  expect(stdout.match(/"pi":"item:[1-5]"/g)).toHaveLength(5)
})

test('docs/guides/python-state.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/guides/python-state.md', {
    env: { PYTHONPATH: join(ROOT, 'clients', 'python'), PYTHONDONTWRITEBYTECODE: '1' },
  })
  expect(stdout).toContain('loaded 1\nentry scene:1 1\nentry scene:1 2\nentry scene:1 3\n')
})

test('docs/guides/systemd.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/guides/systemd.md', {
    before: 'mkdir -p units',
    here: (code) =>
      code
        .replaceAll('/etc/systemd/system/', 'units/')
        .replaceAll('/etc/cairn', 'etc')
        .replaceAll('/opt/cairn', ROOT),
  })
  expect(stdout).toContain('export_schedule')
})

test('docs/guides/prometheus.md and docs/METRICS.md', { timeout: 300_000 }, async () => {
  const promtool = `#!/bin/sh\nexec ${await promtoolPath()} "$@"\n`
  const options = {
    tools: { promtool },
    here: (code: string) =>
      code.replaceAll('/etc/prometheus', 'etc').replaceAll('/opt/cairn', ROOT),
  }
  const tokenHere = 'sed -i "s#/etc/prometheus#$PWD/etc#" etc/prometheus.yml'
  const copied = `mkdir -p etc && cp ${ROOT}/scripts/examples/prometheus/*.yml etc/ && touch etc/cairn-token && ${tokenHere}`
  await runPage('docs/guides/prometheus.md', {
    ...options,
    before: 'mkdir -p etc',
    beforeBlock: { 'promtool check': tokenHere },
  })
  const { stdout } = await runPage('docs/METRICS.md', { ...options, before: copied })
  expect(stdout).toContain('SUCCESS')
})

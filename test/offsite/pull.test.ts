/** What comes back from a bucket is what went there, or it does not come at all. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listOffsite } from '../../src/tasks/offsite-list.ts'
import { pullTask, pushTask } from '../../src/tasks/offsite.ts'
import { cidOf, codeOf } from '../backup/backups.ts'
import {
  addBackup,
  DAY,
  filesIn,
  namesIn,
  newFolder,
  newSite,
  PART,
  useMinio,
  type Site,
} from './kit.ts'

const minio = useMinio()

async function pushed(site: Site): Promise<void> {
  await pushTask(site.context(), { address: site.address })
}

const pull = (site: Site, into: string, which?: string, signal?: AbortSignal) =>
  pullTask(site.context({ signal }), { address: site.address, dataset: undefined, into, which })

test('the newest comes with what it stands on, byte by byte, and a second time nothing does', async () => {
  const site = await newSite(minio())
  const since = cidOf('base')
  await addBackup(site.folder, 'base', { at: DAY, seq: 1, snapshot_cid: since })
  await addBackup(site.folder, 'delta', { at: 2 * DAY, seq: 2, next: 2, since })
  await addBackup(site.folder, 'before', { at: 0, seq: 0, next: 0 })
  await pushed(site)
  const into = join(await newFolder(), 'new')
  const record = await pull(site, into)
  expect(record).toMatchObject({
    status: 'pulled',
    path: join(into, 'delta.car'),
    read_bytes: 2000,
  })
  expect(await namesIn(into)).toEqual(['delta.car', 'base.car'])
  const [here, there] = [await filesIn(site.folder), await filesIn(into)]
  for (const name of ['base.car', 'base.sha256', 'delta.car', 'delta.sha256'])
    expect(there[name]).toBe(here[name])
  expect((await stat(join(into, 'delta.car'))).mode & 0o777).toBe(0o600)
  expect(await pull(site, into)).toMatchObject({ status: 'already_pulled', read_bytes: 0 })
})

test('one is named by its number or its file, a dataset by its name', async () => {
  const site = await newSite(minio())
  for (const seq of [1, 2, 3])
    await addBackup(site.folder, `n${seq}`, { at: seq * DAY, seq, next: seq })
  await pushed(site)
  const into = await newFolder()
  expect((await pull(site, into, 'seq:2')).path).toBe(join(into, 'n2.car'))
  expect((await pull(site, into, 'n1.car')).path).toBe(join(into, 'n1.car'))
  expect((await pull(site, into)).path).toBe(join(into, 'n3.car'))
  for (const which of ['seq:9', 'n9.car', '../n1.car'])
    expect(await codeOf(pull(site, into, which))).toBe('not_found')
  expect(await codeOf(pull(site, into, 'seq:x'))).toBe('usage')
  const { address } = site
  const other = pullTask(site.context(), { address, dataset: 'other', into })
  await expect(other).rejects.toMatchObject({ code: 'not_found', hint: /copies of main/ })
})

test('a pull that was cut off reads only the rest', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'large', { size: 3 * PART })
  await pushed(site)
  const into = await newFolder()
  const abort = new AbortController()
  site.disturb(({ operation, headers }) =>
    operation === 'GetObject' && headers.range?.startsWith(`bytes=${2 * PART}-`) === true
      ? 'hold'
      : undefined,
  )
  const cut = pull(site, into, undefined, abort.signal)
  while ((await partialBytes(into)) < 2 * PART)
    await new Promise((resolve) => setTimeout(resolve, 20))
  abort.abort()
  expect(await codeOf(cut)).toBe('aborted')
  expect(await namesIn(into)).toEqual([])
  site.disturb(() => undefined)
  expect(await pull(site, into)).toMatchObject({ status: 'pulled', read_bytes: PART })
  expect((await readdir(into)).sort()).toEqual(['large.car', 'large.json', 'large.sha256'])
  expect((await filesIn(into))['large.car']).toBe((await filesIn(site.folder))['large.car'])
})

async function partialBytes(folder: string): Promise<number> {
  const [name] = (await readdir(folder)).filter((one) => one.endsWith('.partial'))
  return name === undefined ? 0 : (await stat(join(folder, name))).size
}

test('what lay under the partial name is not believed: with other bytes all is read again', async () => {
  const site = await newSite(minio())
  const { sidecar } = await addBackup(site.folder, 'one', { size: 5000 })
  await pushed(site)
  const into = await newFolder()
  const partial = `.one.car.0-${sidecar.sha256.slice(0, 12)}.partial`
  await writeFile(join(into, partial), new Uint8Array(6000))
  expect(await pull(site, into)).toMatchObject({ status: 'pulled', read_bytes: 5000 })
  expect((await filesIn(into))['one.car']).toBe(sidecar.sha256)
})

test.each(['refuse', 'lose', 'truncate', 'shorten', 'cut-after'] as const)(
  'each request that meets "%s" once is made again',
  async (fault) => {
    const site = await newSite(minio())
    const { sidecar } = await addBackup(site.folder, 'large', { size: PART + 5 })
    await pushed(site)
    const met = new Set<string>()
    // What lists or describes has no checksum of its own; what comes of it is proved by the CAR's.
    site.disturb(({ operation, key, headers }) => {
      const name = `${operation} ${key} ${headers.range ?? ''}`
      if (met.has(name)) return undefined
      met.add(name)
      return operation !== 'GetObject' && (fault === 'shorten' || fault === 'truncate')
        ? undefined
        : fault
    })
    const into = await newFolder()
    expect(await pull(site, into)).toMatchObject({ status: 'pulled' })
    expect((await filesIn(into))['large.car']).toBe(sidecar.sha256)
    expect(met.size).toBeGreaterThan(3)
  },
)

test('wrong bytes on the way or in the bucket are refused, and nothing is left', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'one', { size: 5000 })
  await pushed(site)
  const into = await newFolder()
  site.disturb(({ key }) => (key.endsWith('.car') ? 'flip' : undefined))
  expect(await codeOf(pull(site, into))).toBe('invalid_car')
  expect(await readdir(into)).toEqual([])
  site.disturb(() => undefined)
  await site.inBucket((bucket) => bucket.put('one.car', new Uint8Array(5000)))
  expect(await codeOf(pull(site, into))).toBe('invalid_car')
  expect(await readdir(into)).toEqual([])
})

test('an address that names one copy has all that is needed to read it', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'one')
  await pushed(site)
  const address = `${site.direct}&region=eu-central-1`
  const { copies } = await listOffsite(site.context(), { address, dataset: 'main' })
  expect(copies.map(({ filepath }) => filepath)).toEqual([
    site.direct.replace('/cairn?', '/cairn/one.car?') + '&region=eu-central-1',
  ])
})

test('a file that is there and is another one is not touched', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'one')
  await pushed(site)
  const into = await newFolder()
  await writeFile(join(into, 'one.car'), 'mine')
  expect(await codeOf(pull(site, into))).toBe('usage')
  expect(await readFile(join(into, 'one.car'), 'utf8')).toBe('mine')
})

test('a CAR that has its name without a sidecar gets the rest', async () => {
  const site = await newSite(minio())
  const { paths } = await addBackup(site.folder, 'one')
  await pushed(site)
  const into = await newFolder()
  await writeFile(join(into, 'one.car'), await readFile(paths.car))
  expect(await pull(site, into)).toMatchObject({ status: 'already_pulled' })
  expect(await namesIn(into)).toEqual(['one.car'])
})

test('names that would leave the folder, and sidecars that lie or are none, are no copies', async () => {
  const site = await newSite(minio())
  const { sidecar } = await addBackup(site.folder, 'good')
  await pushed(site)
  const text = (fields: object): Buffer => Buffer.from(JSON.stringify({ ...sidecar, ...fields }))
  await site.inBucket(async (bucket) => {
    for (const stem of ['../evil', '.hidden', 'a\\b', 'folder/in', '..'])
      for (const [key, body] of [
        [`${stem}.car`, 'x'],
        [`${stem}.json`, '{}'],
      ] as const)
        await bucket.put(key, Buffer.from(body)).catch(() => {})
    const put = async (stem: string, body: Uint8Array): Promise<void> => {
      await bucket.put(`${stem}.car`, new Uint8Array(1000))
      await bucket.put(`${stem}.json`, body)
    }
    await put(
      'liar',
      text({ sha256: 'e'.repeat(64), filename: '../../etc/passwd', seq: 8, next: 8 }),
    )
    await put('short', text({ size_bytes: 999 }))
    await put('text', Buffer.from('not JSON'))
    await put('huge', new Uint8Array((1 << 20) + 1))
    await put('later', text({ schema: 'cairn/car-sidecar@v9' }))
    await bucket.put('unfinished.car', new Uint8Array(3))
    await bucket.put(`main-1-20260101-000000-abcdefgh.json`, text({}))
  })
  const { backups, damaged, unfinished, objects } = await site.listing()
  expect(backups.map(({ paths }) => paths.car)).toEqual(['liar.car', 'good.car'])
  expect(damaged.map(({ path }) => path).sort()).toEqual([
    'huge.car',
    'later.car',
    'main-1-20260101-000000-abcdefgh.json',
    'short.car',
    'text.car',
  ])
  expect(unfinished).toEqual(['unfinished.car'])
  for (const name of objects.keys()) expect(name).toMatch(/^[a-z][\w-]*\.(car|json|sha256)$/)
  const into = await newFolder()
  // Which is the newest is not known where one cannot be read.
  expect(await codeOf(pull(site, into))).toBe('format_unsupported')
  await site.inBucket((bucket) => bucket.delete(['later.json']))
  expect(await codeOf(pull(site, into))).toBe('invalid_car')
  expect(await codeOf(pull(site, into, 'unfinished.car'))).toBe('not_found')
  expect(await codeOf(pull(site, into, 'short.car'))).toBe('invalid_car')
  expect(await readdir(into)).toEqual([])
  expect((await pull(site, into, 'good.car')).status).toBe('pulled')
})

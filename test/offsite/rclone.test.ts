/** The hook of the guide with a real rclone: what it copies is a place of copies like any other. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readBackups } from '../../src/backup/folder.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { blocksOf } from '../docs/blocks.ts'
import { readPage } from '../docs/run-page.ts'
import { debianRoot } from '../helpers/debian.ts'
import { newFolder, newSite, useMinio } from './kit.ts'

const minio = useMinio()

/** The program that the guide tells people to keep. */
async function hookOfTheGuide(box: Sandbox): Promise<string> {
  const block = blocksOf(await readPage('docs/guides/offsite.md')).find(
    ({ file }) => file === 'rclone-copy',
  )
  await box.write('rclone-copy', block?.code ?? '')
  return 'sh ./rclone-copy'
}

async function rcloneEnv(remote: Record<string, string>): Promise<Record<string, string>> {
  const bin = join(await debianRoot('rclone'), 'usr', 'bin')
  const settings = Object.entries(remote).map(([name, value]) => [
    `RCLONE_CONFIG_REMOTE_${name}`,
    value,
  ])
  return {
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    RCLONE_CONFIG: '/nonexistent/rclone.conf',
    ...(Object.fromEntries(settings) as Record<string, string>),
  }
}

async function boxWithData(): Promise<Sandbox> {
  const box = await Sandbox.make()
  onTestFinished(() => box.remove())
  await box.ok(['put', 'a', '--value', '1'])
  return box
}

test('into a folder: the three files, the sidecar last; they are a folder of backups', async () => {
  const [box, folder] = [await boxWithData(), await newFolder()]
  const after = await hookOfTheGuide(box)
  const env = { ...(await rcloneEnv({ TYPE: 'alias', REMOTE: folder })) }
  const made = await box.json(['export-car', '--after', after], { env })
  const { backups, unfinished } = await readBackups(join(folder, 'cairn'))
  expect(backups.map(({ sidecar }) => sidecar.sha256)).toEqual([made['sha256']])
  expect(unfinished).toEqual([])
  expect(await readdir(join(folder, 'cairn'))).toHaveLength(3)
})

test('into a bucket: Cairn lists, reads back and restores what rclone has put there', async () => {
  const site = await newSite(minio())
  const box = await boxWithData()
  const after = await hookOfTheGuide(box)
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = minio().env
  const remote = {
    TYPE: 's3',
    PROVIDER: 'Minio',
    ENDPOINT: minio().endpoint,
    ACCESS_KEY_ID: AWS_ACCESS_KEY_ID,
    SECRET_ACCESS_KEY: AWS_SECRET_ACCESS_KEY,
  }
  const rclone = await rcloneEnv(remote)
  const prefix = { CAIRN_RCLONE: `remote:${site.bucketName}/cairn` }
  await box.ok(['export-car', '--after', after], { env: { ...rclone, ...prefix } })
  const env = { ...minio().env, CAIRN_OFFSITE: site.direct }
  expect(await box.json(['offsite', 'push', '--verify'], { env })).toMatchObject({
    status: 'already_pushed',
    cars: [{ status: 'already_there' }],
  })
  const empty = await Sandbox.make()
  onTestFinished(() => empty.remove())
  const restored = await empty.json(['restore-car', site.direct], { env })
  expect(restored).toMatchObject({ status: 'restored', total_count: 1 })
})

test('a remote that refuses makes the hook fail, and the CAR stays', async () => {
  const box = await boxWithData()
  const after = await hookOfTheGuide(box)
  const env = await rcloneEnv({ TYPE: 'alias', REMOTE: '/proc/nowhere' })
  const failed = await box.fails(['export-car', '--after', after], { env })
  expect(failed).toMatchObject({ exit: 16, code: 'hook_failed' })
  expect((await readBackups(box.path('.cairn/backups'))).backups).toHaveLength(1)
})

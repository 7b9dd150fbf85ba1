/** Export and verified restore, beside the node's own commands on the same blocks. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CarFile } from '../../src/car/file.ts'
import { FileSink } from '../../src/car/file-sink.ts'
import { CarWriter } from '../../src/car/writer.ts'
import { openCairn } from '../../src/compose.ts'
import { printCid } from '../../src/model/cid.ts'
import { entriesOf, valuesOf } from './data.ts'
import { measure, type Figure } from './measure.ts'

export type CarContentKind = 'content' | 'index'

/** A store of `count` entities, with small content or without any. */
export async function carStore(
  count: number,
  kind: CarContentKind,
  dir: string,
): Promise<Figure[]> {
  await using cairn = await openCairn(`lmdb:${dir}`, { create: true })
  const { dataset } = await cairn.init('main', {
    content: kind === 'index' ? 'external' : 'linked',
  })
  await dataset.bulkLoad(kind === 'index' ? entriesOf(count) : valuesOf(count))
  return []
}

/** `store` is a folder or a node; the CAR goes to `path`, synced. */
export async function carExport(
  store: string,
  kind: CarContentKind,
  path: string,
): Promise<Figure[]> {
  await using cairn = await openCairn(store)
  const dataset = await cairn.dataset('main')
  const { ms, peakMb, result } = await measure(async () => {
    const handle = await open(path, 'w+')
    const exported = await dataset.exportCar(
      (root) => CarWriter.begin(new FileSink(handle), [root]),
      { content: kind === 'index' ? 'index' : 'full' },
    )
    await handle.sync()
    await handle.close()
    return exported
  })
  const details = { blocks: result.blocks, bytes: result.bytes, root: printCid(result.checkpoint) }
  const name = `${where(store)}: export, ${result.totalCount} ${kind}`
  return [
    { name, value: ms, unit: 'ms', details },
    { name: `${name}, memory`, value: peakMb, unit: 'MB' },
  ]
}

/** From the file to a dataset that can be read, opening and proving included. */
export async function carRestore(
  store: string,
  kind: CarContentKind,
  path: string,
): Promise<Figure[]> {
  await using cairn = await openCairn(store, { create: true })
  const { ms, peakMb, result } = await measure(async () => {
    const car = await CarFile.open(path)
    const restored = await cairn.restoreCar([car])
    await car.close()
    return restored
  })
  const name = `${where(store)}: restore, ${result.totalCount} ${kind}`
  return [
    { name, value: ms, unit: 'ms' },
    { name: `${name}, memory`, value: peakMb, unit: 'MB' },
  ]
}

const where = (store: string): string => (store.startsWith('kubo:') ? 'kubo' : 'embedded')

/** The node's own `ipfs dag import FILE` or `ipfs dag export ROOT > FILE`, as a user would type it. */
export async function ipfsCommand(
  url: string,
  command: 'import' | 'export',
  what: string,
  label: string,
): Promise<Figure[]> {
  const { hostname, port } = new URL(url)
  const home = mkdtempSync(join(tmpdir(), 'cairn-bench-cli-'))
  const output = await open(join(home, 'out'), 'w')
  const args = ['--api', `/ip4/${hostname}/tcp/${port}`, 'dag', command, '--', what]
  const { ms } = await measure(async () => {
    const child = spawn(process.env['KUBO_BIN'] ?? 'ipfs', args, {
      env: { ...process.env, IPFS_PATH: home },
      stdio: ['ignore', output.fd, 'inherit'],
    })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`ipfs dag ${command} ended with ${code}`)
  })
  await output.close()
  await rm(home, { recursive: true, force: true })
  return [{ name: `ipfs dag ${command}, ${label}`, value: ms, unit: 'ms' }]
}

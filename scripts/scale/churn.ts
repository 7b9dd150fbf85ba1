/** What is left of many snapshots of a churning dataset after a prune, against a store that never had them. */
import { runChild } from './child.ts'
import { emptyPlace, type BackendName, type Place } from './places.ts'
import { withinTenth, type Row } from './rows.ts'

export async function churnPart(backend: BackendName): Promise<Row[]> {
  const where = `${backend}, churn`
  const old = await emptyPlace(backend)
  const fresh = await emptyPlace(backend)
  const bytes = (what: string, value: number): Row => ({ where, what, value, unit: 'bytes' })
  try {
    process.stderr.write(`${where}: 50 snapshots\n`)
    await runChild('churn', old.store)
    await runChild('final', fresh.store)
    const before = [await old.blockBytes(), await old.sizeBytes()] as const
    process.stderr.write(`${where}: prune\n`)
    const pruned = await pruneTo1(old)
    await pruneTo1(fresh)
    const live = withinTenth(
      where,
      'bytes of blocks after the prune',
      await old.blockBytes(),
      await fresh.blockBytes(),
    )
    await command('compact', old)
    await command('compact', fresh)
    return [
      bytes('bytes of blocks before', before[0]),
      bytes('size before', before[1]),
      { where, what: 'prune, time', value: pruned.seconds, unit: 's' },
      live,
      backend === 'lmdb'
        ? withinTenth(where, 'size of the file', await old.sizeBytes(), await fresh.sizeBytes())
        : bytes('size of the repository', await old.sizeBytes()),
    ]
  } finally {
    await old.dispose()
    await fresh.dispose()
  }
}

/** The fresh one, too, so that what is compared with is the least there can be. */
const pruneTo1 = (place: Place): ReturnType<typeof runChild> =>
  command('prune', place, '--keep-last', '1')

function command(
  name: string,
  { store, folder }: Place,
  ...args: string[]
): ReturnType<typeof runChild> {
  return runChild('command', name, '--store', store, '--data-dir', folder, ...args)
}

/** A dataset built, paged, exported from one store and restored into an empty one: the same, and it takes appends. */
import { join } from 'node:path'
import { stat } from 'node:fs/promises'
import { runChild } from './child.ts'
import { emptyPlace, type BackendName, type Place } from './places.ts'
import { printRequests } from './requests.ts'
import { same, type Row } from './rows.ts'

const MOST_MB = 256
const SAME = ['root', 'totalCount', 'recentCount', 'next', 'entities', 'sampled', 'components']

export async function roundTrip(backend: BackendName, size: number): Promise<Row[]> {
  const where = `${backend}, ${size.toLocaleString('en')}`
  const rows: Row[] = []
  const source = await emptyPlace(backend)
  const target = await emptyPlace(backend)
  const step = (text: string): void => void process.stderr.write(`${where}: ${text}\n`)
  try {
    step('load')
    const loaded = await runChild('load', source.store, String(size))
    // No limit there: its process makes the data, too.
    rows.push(...costs(where, 'load', loaded, false))
    step('build')
    const built = await runChild('build', source.store, String(size))
    rows.push(...costs(where, 'append 1,000 and build', built), ...timesOf(where, built))
    step('page')
    const paged = await runChild('page', source.store)
    rows.push(...costs(where, 'page', paged), ...timesOf(where, paged))
    step('export')
    const car = await exported(where, source, rows)
    step('restore')
    const restore = await command(target, ['restore-car', car])
    rows.push(...costs(where, 'restore', restore))
    step('compare')
    const before = (await runChild('facts', source.store)).said
    const after = (await runChild('facts', target.store)).said
    for (const fact of SAME) rows.push(same(where, fact, after[fact], before[fact]))
    const { appends } = (await runChild('appends', target.store)).said
    rows.push(same(where, 'takes appends', appends, true))
    return rows
  } finally {
    await source.dispose()
    await target.dispose()
  }
}

async function exported(where: string, source: Place, rows: Row[]): Promise<string> {
  const backups = join(source.folder, 'backups')
  const ran = await command(source, ['export-car', '--backups-dir', backups])
  const path = String(ran.said['path'])
  rows.push({ where, what: 'CAR', value: (await stat(path)).size, unit: 'bytes' })
  rows.push(...costs(where, 'export', ran))
  return path
}

type Ran = Awaited<ReturnType<typeof runChild>>

function command({ store, folder }: Place, args: readonly string[]): Promise<Ran> {
  return runChild('command', ...args, '--store', store, '--data-dir', folder)
}

const TIMES: Readonly<Record<string, string>> = {
  append: 'append of 1,000',
  build: 'build',
  first: 'first page of a new process',
  page: 'page of 100 at any offset',
  all: 'every entity',
}

/** What a task timed itself. */
function timesOf(where: string, { said }: Ran): Row[] {
  return Object.entries(TIMES).flatMap(([fact, what]) => {
    const seconds = said[fact]
    return typeof seconds === 'number' ? [{ where, what, value: seconds * 1000, unit: 'ms' }] : []
  })
}

function costs(
  where: string,
  what: string,
  { seconds, peakMb, requests }: Ran,
  limited = true,
): Row[] {
  const asked = Object.keys(requests.kinds).length > 0
  const limit = { text: `below ${MOST_MB} MB`, met: peakMb > 0 && peakMb < MOST_MB }
  return [
    { where, what: `${what}, time`, value: seconds, unit: 's' },
    {
      where,
      what: `${what}, peak anonymous memory`,
      value: peakMb,
      unit: 'MB',
      ...(limited && { limit }),
    },
    ...(asked ? [{ where, what: `${what}, requests`, value: printRequests(requests) }] : []),
  ]
}

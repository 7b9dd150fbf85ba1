/** Two services on one store, by mistake or for a moment: nothing is lost, and nothing is saved twice. */
import { beforeAll, expect, test } from 'vitest'
import { openEvents } from '../helpers/event-stream.ts'
import { serve, until, type Served } from '../helpers/served.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { get, place, positionsOf, put, upTo, writeConfig, type Written } from './clients.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make()
  return () => sandbox.remove()
})

test('two services on one store lose nothing and save nothing twice', async () => {
  const config = await writeConfig(sandbox, 'two.json', 1)
  const one = await serve(sandbox, ['--config', config])
  const other = await serve(sandbox, ['--config', config], {}, one.dir)
  const stream = await openEvents(`${place(one)}/changes?since=0`)
  const writer = async (served: Served, name: string): Promise<Written[]> => {
    const written: Written[] = []
    for (let n = 0; n < 40; n++) written.push(await put(served, `${name}:${n}`, { name, n }))
    return written
  }
  const written = (
    await Promise.all([
      ...['a', 'b'].map((name) => writer(one, name)),
      ...['c', 'd'].map((name) => writer(other, name)),
    ])
  ).flat()
  expect(written.map(({ position }) => position).toSorted((x, y) => x - y)).toEqual(upTo(160))
  // A reader of the one sees what came in through the other.
  expect(positionsOf(await stream.take(160))).toEqual(upTo(160))
  stream.close()
  await until(() => saves([one, other]).reduce((sum, { folded }) => sum + folded, 0) >= 160)

  // Each entry went into one snapshot of those that became current; none was built for nothing.
  const done = saves([one, other])
  expect(done.reduce((sum, { folded }) => sum + folded, 0)).toBe(160)
  expect(done.every(({ folded }) => folded > 0)).toBe(true)
  const seqs = done.map(({ seq }) => seq)
  expect(new Set(seqs).size).toBe(seqs.length)

  // Both end at the same moment, with something new that each would like to save.
  written.push(await put(one, 'last', 1))
  for (const { child } of [one, other]) child.kill('SIGTERM')
  for (const served of [one, other]) {
    expect(await served.ended()).toBe(0)
    expect(served.lines().filter(({ level }) => level === 'error')).toEqual([])
  }
  const last = await serve(sandbox, ['--config', config], {}, one.dir)
  const { items } = await get<{ items: Written[] }>(`${place(last)}/entities?limit=1000`)
  const byId = (list: readonly Written[]): string[] =>
    list.map(({ pi, ver, tip }) => `${pi} ${ver} ${tip}`).toSorted()
  expect(byId(items)).toEqual(byId(written))
})

/** The saves that made a snapshot current, of all services. */
function saves(all: readonly Served[]): { folded: number; seq: number }[] {
  return all
    .flatMap(({ lines }) => lines())
    .filter(({ event }) => event === 'save.done')
    .map(({ folded, seq }) => ({ folded: Number(folded), seq: Number(seq) }))
}

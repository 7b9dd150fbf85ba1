/** Following a source: what is new comes, what is away is waited for, and it ends when it is told to. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { follow } from '../../src/engine/replica/follow.ts'
import type { SyncReport } from '../../src/engine/replica/sync.ts'
import { CairnError } from '../../src/errors.ts'
import { expectRefused } from '../helpers/engine.ts'

async function scene() {
  const primary = new Cairn(openMemory())
  const dataset = await primary.open()
  const replica = new Cairn(openMemory())
  const stop = new AbortController()
  const synced: SyncReport[] = []
  const away: number[] = []
  let fail: CairnError | undefined
  const inner = primary.asSource()
  const source: typeof inner = {
    ...inner,
    location: 'memory:source',
    newest: async (...call) => {
      if (fail !== undefined) throw fail
      return inner.newest(...call)
    },
  }
  /** What happens at each wait, in turn; the last one stops. */
  const run = async (steps: readonly (() => unknown)[]): Promise<void> => {
    let step = 0
    await follow({
      source,
      dataset: 'main',
      sync: () => replica.sync(source),
      onSynced: (report) => void synced.push(report),
      onAway: (_, againMs) => away.push(againMs),
      signal: stop.signal,
      delay: async () => {
        await steps[step++]?.()
        if (step >= steps.length) stop.abort()
      },
    })
  }
  const failWith = (code: 'backend_unavailable' | 'pointer_damaged' | undefined): void => {
    fail = code && new CairnError(code, 'It is away.', { hint: 'Wait for it.' })
  }
  return { dataset, replica, synced, away, run, failWith }
}

test('each change comes, and nothing is synced while there is none', async () => {
  const { dataset, replica, synced, run } = await scene()
  await run([
    () => dataset.put('a', 1),
    () => undefined,
    () => dataset.put('b', 2),
    () => undefined,
  ])
  expect(synced.map(({ next }) => next)).toEqual([0, 1, 2])
  expect(await (await replica.dataset()).count()).toBe(2)
})

test('what is away is tried again, ever more seldom, and then soon again', async () => {
  const { dataset, synced, away, run, failWith } = await scene()
  const back = async (): Promise<void> => {
    failWith(undefined)
    await dataset.put('a', 1)
  }
  const gone = (): void => failWith('backend_unavailable')
  await run([gone, () => undefined, () => undefined, back, gone, () => undefined, () => undefined])
  expect(away).toEqual([1000, 2000, 4000, 1000, 2000])
  expect(synced.length).toBe(2)
})

test('what does not pass by itself ends it', async () => {
  const { run, failWith } = await scene()
  await expectRefused(
    run([() => failWith('pointer_damaged'), () => undefined, () => undefined]),
    'pointer_damaged',
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { basesOf } from '../../src/backup/bases.ts'
import { newestFirst, type Backup } from '../../src/backup/folder.ts'
import { proveRetention } from '../../src/backup/prove-retention.ts'
import { planAllRetention } from '../../src/backup/retain.ts'
import { backup, cidOf } from './backups.ts'

const DAY = 86_400_000

interface Outcome {
  /** Oldest first. */
  readonly gone: readonly string[]
  readonly damaged: readonly string[]
  readonly asked: readonly string[]
}

const nameOf = ({ sidecar }: Backup): string => sidecar.filename.replace('.car', '')

/** What a prune by these rules does where the named ones are not what their sidecars say. */
async function pruned(
  given: readonly Backup[],
  flawed: readonly string[],
  last = 1,
): Promise<Outcome> {
  const asked: string[] = []
  const { verdicts, damaged } = await proveRetention(newestFirst(given), {
    plan: (backups) => planAllRetention(backups, { last }, 1000 * DAY),
    flawOf: (one) => {
      asked.push(nameOf(one))
      return Promise.resolve(flawed.includes(nameOf(one)) ? 'other bytes' : undefined)
    },
  })
  const gone = verdicts.filter(({ keep }) => !keep).map(({ item }) => nameOf(item.backup))
  const names = damaged.map(({ path }) => path.replace(/^.*\/|\.car$/g, ''))
  return { gone: gone.sort(), damaged: names, asked }
}

const night = (i: number, fields: Parameters<typeof backup>[1] = {}): Backup =>
  backup(`n${'abcdefghij'[i]}`, { seq: i, next: i, at: (900 + i) * DAY, ...fields })

const nights = (count: number): Backup[] => Array.from({ length: count }, (_, i) => night(i))

test('the newest is proved, once, and only where something goes', async () => {
  expect(await pruned(nights(3), [])).toEqual({ gone: ['na', 'nb'], damaged: [], asked: ['nc'] })
  expect((await pruned(nights(3), ['nc'], 3)).asked).toEqual([])
})

test('what is damaged stays, and so does the newest that holds', async () => {
  expect(await pruned(nights(5), ['ne', 'nd'])).toEqual({
    gone: ['na', 'nb'],
    damaged: ['ne', 'nd'],
    asked: ['ne', 'nd', 'nc'],
  })
})

test('where none holds, none goes', async () => {
  const { gone, damaged } = await pruned(nights(3), ['na', 'nb', 'nc'])
  expect(gone).toEqual([])
  expect(damaged).toEqual(['nc', 'nb'])
})

test('a delta holds only with its bases', async () => {
  const all = [night(0), night(1), night(2), night(3, { since: cidOf('nc') })]
  expect(await pruned(all, [])).toMatchObject({ gone: ['na', 'nb'], asked: ['nd', 'nc'] })
  expect(await pruned(all, ['nc'])).toEqual({
    gone: ['na'],
    damaged: ['nc'],
    asked: ['nd', 'nc', 'nb'],
  })
})

test('deltas on a damaged base all stay where they have nothing else', async () => {
  const since = cidOf('na')
  const all = [night(0), night(1, { since }), night(2, { since })]
  expect(await pruned(all, ['na'])).toMatchObject({ gone: [], damaged: ['na'] })
  // What they stand on was never here: nobody can say that it is lost.
  expect(await pruned(all.slice(1), [])).toMatchObject({ gone: ['nb'], asked: ['nc'] })
})

test('whatever is damaged: nothing of a series goes unless a newer one of it holds, with its bases', async () => {
  const some = fc.array(
    fc.record({
      since: fc.option(fc.nat(4)),
      seq: fc.nat(4),
      content: fc.constantFrom('full' as const, 'tips' as const),
      flawed: fc.boolean(),
    }),
    { minLength: 1, maxLength: 8 },
  )
  await fc.assert(
    fc.asyncProperty(some, fc.integer({ min: 1, max: 3 }), async (given, last) => {
      const all = newestFirst(
        given.map(({ since, seq, content }, i) =>
          night(i, {
            seq,
            next: seq,
            content,
            snapshot_cid: cidOf(`${'abcdefghij'[seq]}`),
            since: since === null ? null : cidOf(`${'abcdefghij'[since]}`),
          }),
        ),
      )
      const flawed = given.flatMap((one, i) => (one.flawed ? [nameOf(night(i))] : []))
      const { gone, asked } = await pruned(all, flawed, last)
      expect(new Set(asked).size).toBe(asked.length)
      expect(gone.filter((name) => asked.includes(name) && flawed.includes(name))).toEqual([])
      const whole = all.filter((one) => !flawed.includes(nameOf(one)))
      const left = whole.filter((one) => !gone.includes(nameOf(one)))
      for (const { sidecar } of all.filter((one) => gone.includes(nameOf(one)))) {
        const series = (one: Backup): boolean => one.sidecar.content === sidecar.content
        const had = all.filter(series).some((one) => basesOf(all, one) !== undefined)
        const has = left.filter(series).some((one) => basesOf(left, one) !== undefined)
        expect(has).toBe(had)
      }
    }),
  )
})

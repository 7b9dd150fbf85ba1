import fc from 'fast-check'
import { expect, test } from 'vitest'
import { basesOf } from '../../src/backup/bases.ts'
import { newestFirst, type Backup } from '../../src/backup/folder.ts'
import { planBackupRetention } from '../../src/backup/retain.ts'
import { backup, cidOf } from './backups.ts'

const DAY = 86_400_000
const NOW = 1000 * DAY

const going = (backups: readonly Backup[], newest: Backup, last: number): string[] =>
  planBackupRetention(newestFirst(backups), newest, { last }, NOW)
    .filter(({ keep }) => !keep)
    .map(({ item }) => item.id.replace('.car', ''))
    .sort()

const nights = (count: number): Backup[] =>
  Array.from({ length: count }, (_, i) => backup(`n${i}`, { seq: i, next: i, at: (900 + i) * DAY }))

test('the newest N stay', () => {
  const all = nights(5)
  expect(going(all, all[4] as Backup, 2)).toEqual(['n0', 'n1', 'n2'])
})

test('a clock that went back makes the newest backup neither old nor gone', () => {
  const all = [...nights(4), backup('new', { seq: 9, next: 9, at: 5 * DAY })]
  const newest = all[4] as Backup
  expect(newestFirst(all)[0]).toBe(newest)
  expect(going(all, newest, 2)).toEqual(['n0', 'n1', 'n2'])
})

test('after a rollback the backup of a lower snapshot is the newest, since the generation is higher', () => {
  const all = nights(3)
  const after = backup('after', { generation: 1, seq: 0, next: 0, at: 950 * DAY })
  expect(newestFirst([...all, after])[0]).toBe(after)
  expect(going([...all, after], after, 1)).toEqual(['n0', 'n1', 'n2'])
})

test('a dataset that was made anew under the name pushes no backup of the old one out', () => {
  const fresh = backup('fresh', { identity: 'two', at: 990 * DAY })
  expect(going([...nights(3), fresh], fresh, 1)).toEqual([])
})

test('backups with less content push none with more out', () => {
  const index = Array.from({ length: 4 }, (_, i) =>
    backup(`i${i}`, { content: 'index', seq: 20 + i, next: 20 + i, at: (960 + i) * DAY }),
  )
  expect(going([...nights(2), ...index], index[3] as Backup, 1)).toEqual(['i0', 'i1', 'i2'])
})

test('a base stays as long as a delta that needs it, also through another delta', () => {
  const base = backup('base', { at: 1 * DAY })
  const other = backup('other', { seq: 2, next: 2, at: 2 * DAY })
  const first = backup('first', { since: cidOf('base'), seq: 3, next: 3, at: 3 * DAY })
  const second = backup('second', { since: cidOf('first'), seq: 4, next: 4, at: 4 * DAY })
  const all = [base, other, first, second]
  expect(going(all, second, 1)).toEqual(['other'])
  const reasons = planBackupRetention(newestFirst(all), second, { last: 1 }, NOW)
  expect(reasons.find(({ item }) => item.backup === base)?.reasons).toContain('base of second.car')
})

test('a base of a delta of another kind stays, too', () => {
  const base = backup('base', { at: 1 * DAY })
  const delta = backup('delta', { content: 'tips', since: cidOf('base'), seq: 2, next: 2 })
  const full = backup('full', { seq: 3, next: 3, at: 3 * DAY })
  expect(going([base, delta, full], full, 1)).toEqual([])
})

test('a delta is based on what has as much content, and no circle goes on for ever', () => {
  const thin = backup('base', { content: 'index' })
  const delta = backup('delta', { since: cidOf('base') })
  expect(basesOf([thin, delta], delta)).toBeUndefined()
  const [a, b] = [backup('a', { since: cidOf('b') }), backup('b', { since: cidOf('a') })]
  expect(basesOf([a, b], a)).toBeUndefined()
})

test('whatever there is: the newest stays, and every delta that stays keeps a whole chain if it had one', () => {
  const some = fc.array(
    fc.record({
      since: fc.option(fc.nat(4)),
      seq: fc.nat(4),
      at: fc.nat(1200),
      content: fc.constantFrom('full' as const, 'tips' as const, 'index' as const),
      identity: fc.constantFrom('one', 'two'),
    }),
    { minLength: 1, maxLength: 12 },
  )
  fc.assert(
    fc.property(some, fc.nat(11), fc.integer({ min: 1, max: 4 }), (given, pick, last) => {
      const all = newestFirst(
        given.map(({ since, seq, at, content, identity }, i) =>
          backup(`b${i}`, {
            seq,
            next: seq,
            at: at * DAY,
            content,
            identity,
            snapshot_cid: cidOf(`${identity}${'abcdefghij'[seq]}`),
            since: since === null ? null : cidOf(`${identity}${'abcdefghij'[since]}`),
          }),
        ),
      )
      const made = all[pick % all.length] as Backup
      const plan = planBackupRetention(all, made, { last }, NOW)
      const gone = new Set(plan.filter(({ keep }) => !keep).map(({ item }) => item.backup))
      const left = all.filter((one) => !gone.has(one))
      expect(left).toContain(made)
      const series = ({ sidecar }: Backup): string => `${sidecar.identity} ${sidecar.content}`
      expect(left).toContain(all.find((one) => series(one) === series(made)))
      for (const one of left)
        if (basesOf(all, one) !== undefined) expect(basesOf(left, one)).toBeDefined()
    }),
  )
})

/** The checker bites: histories made by hand, good ones and bad ones. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { builtChecker, judge, type Judgement } from './checker.ts'

interface Version {
  readonly pi: string
  readonly ver: number
  readonly tip: string
  readonly position?: number
  readonly status?: string
}

interface Op {
  readonly at: readonly [call: number, answer?: number]
  readonly do: 'append' | 'read' | 'mark' | 'history' | 'rollback'
  readonly set?: string
  readonly writes?: readonly Readonly<Record<string, unknown>>[]
  readonly pis?: readonly string[]
  readonly listed?: boolean
  readonly to?: readonly Version[]
  readonly outcome?: 'ok' | 'refused' | 'unknown'
  readonly found?: readonly Version[]
  readonly total?: number
}

let checker: string

beforeAll(async () => {
  checker = await builtChecker()
}, 300_000)

/** A log, unless it is of a dataset that was rolled back, and what clients saw. */
async function judged(ops: readonly Op[], log?: readonly Version[]): Promise<Judgement> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-checker-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const lines = ops.flatMap(({ at, outcome = 'ok', found = [], total, ...what }, i) => {
    const op = { lane: `c${i}`, n: 0 }
    const [call, answer] = at
    const begin = { t: call, ...op, set: 'main', ...what }
    return answer === undefined ? [begin] : [begin, { t: answer, ...op, outcome, found, total }]
  })
  const logged = log?.map((entry) => ({ log: 'main', entry })) ?? []
  const end = log === undefined ? [] : [{ log: 'main', next: log.length }]
  const text = [...lines, ...logged, ...end].map((line) => `${JSON.stringify(line)}\n`).join('')
  await writeFile(join(folder, 'history.ndjson'), text)
  return judge(checker, folder)
}

const version = (pi: string, ver: number, position: number): Version => ({
  pi,
  ver,
  tip: `${pi}${ver}`,
  position,
})

/** An acknowledged append of the next version. */
const appended = (at: Op['at'], pi: string, ver: number, position: number): Op => ({
  at,
  do: 'append',
  writes: [{ pi, tip: `${pi}${ver}` }],
  found: [{ ...version(pi, ver, position), status: 'appended' }],
})

const saw = (at: Op['at'], pi: string, ver: number): Op => ({
  at,
  do: 'read',
  pis: [pi],
  found: ver === 0 ? [] : [{ pi, ver, tip: `${pi}${ver}` }],
})

const page = (at: Op['at'], ...found: readonly Version[]): Op => ({
  at,
  do: 'read',
  pis: ['a', 'b'],
  listed: true,
  found: found.map(({ pi, ver, tip }) => ({ pi, ver, tip })),
})

const [a1, a2, b1] = [version('a', 1, 0), version('a', 2, 1), version('b', 1, 2)]
const LOG = [a1, a2, b1]
const APPENDS = [
  appended([10, 20], 'a', 1, 0),
  appended([30, 40], 'a', 2, 1),
  appended([50, 60], 'b', 1, 2),
]

async function expectGood(ops: readonly Op[], log?: readonly Version[]): Promise<void> {
  const { good, text } = await judged(ops, log)
  expect(text).toMatch(/: 0 problems$/)
  expect(good).toBe(true)
}

async function expectBad(
  what: RegExp,
  ops: readonly Op[],
  log?: readonly Version[],
): Promise<void> {
  const { good, text } = await judged(ops, log)
  expect(text).toMatch(what)
  expect(good).toBe(false)
}

test('answers that one order of events explains are good', async () => {
  const conflict = { pi: 'a', ver: 2, tip: 'a2', status: 'conflict' }
  await expectGood(
    [
      ...APPENDS,
      saw([5, 12], 'a', 1),
      saw([35, 36], 'a', 1),
      saw([35, 37], 'a', 2),
      page([55, 58], a2),
      page([55, 70], b1, a2),
      { ...page([70, 80], b1, a2), total: 2 },
      { at: [41, 42], do: 'history', pis: ['a'], found: [a2, a1] },
      {
        at: [45, 46],
        do: 'append',
        writes: [{ pi: 'a', tip: 'late', expectVer: 1 }],
        outcome: 'refused',
        found: [conflict],
      },
    ],
    LOG,
  )
})

test('an append without an answer may have taken effect, at any time, or not', async () => {
  const open: Op = { at: [5], do: 'append', writes: [{ pi: 'a', tip: 'a1', ver: 1 }] }
  const never: Op = { at: [6], do: 'append', writes: [{ pi: 'a', tip: 'x', ver: 1 }] }
  await expectGood([open, never, saw([10, 20], 'a', 0), saw([30, 40], 'a', 1)], [a1])
  await expectBad(/no order/, [open, saw([10, 20], 'a', 1), saw([30, 40], 'a', 0)], [a1])
})

test('a stale read is refused', async () => {
  await expectBad(/no order of operations/, [...APPENDS, saw([45, 46], 'a', 1)], LOG)
  await expectBad(
    /position 1 was not|position 1 was there/,
    [...APPENDS, saw([45, 46], 'a', 1)],
    LOG,
  )
  await expectBad(/no order of operations/, [...APPENDS, saw([22, 23], 'a', 0)], LOG)
})

test('a read of what is not yet there is refused', async () => {
  await expectBad(/no order of operations/, [...APPENDS, saw([21, 29], 'a', 2)], LOG)
})

test('a lost update is refused: two that took the same version, or one that the log lacks', async () => {
  const second: Op = { ...appended([30, 40], 'a', 1, 1), writes: [{ pi: 'a', tip: 'other' }] }
  const log = [a1, { pi: 'a', ver: 1, tip: 'other', position: 1 }]
  await expectBad(/no order of operations/, [...APPENDS.slice(0, 1), second], log)
  await expectBad(/not in the log/, APPENDS, [a1, a2])
})

test('a position that was given twice is refused', async () => {
  await expectBad(/given twice/, [...APPENDS, appended([50, 60], 'b', 1, 2)], LOG)
  const rolled = [appended([10, 20], 'a', 1, 7), appended([30, 40], 'a', 2, 7)]
  await expectBad(/position 7 was given twice/, rolled)
})

test('a gap in positions is refused', async () => {
  await expectBad(/where position 2 should be/, APPENDS, [a1, a2, { ...b1, position: 3 }])
})

test('positions against the order of time are refused', async () => {
  await expectBad(
    /position \d was there/,
    [appended([10, 20], 'a', 1, 1), appended([30, 40], 'b', 1, 0)],
    [
      { ...b1, position: 0 },
      { ...a1, position: 1 },
    ],
  )
  await expectBad(/position \d was there/, [
    appended([10, 20], 'a', 1, 9),
    appended([30, 40], 'a', 2, 8),
  ])
})

test('an entry that nobody has written is refused', async () => {
  await expectBad(/nobody can have written/, APPENDS.slice(0, 2), LOG)
})

test('a page of two states is refused, though each of its entities was so', async () => {
  const appends = [
    appended([10, 90], 'a', 1, 0),
    appended([10, 90], 'a', 2, 1),
    appended([10, 90], 'b', 1, 2),
  ]
  await expectGood([...appends, page([20, 80], b1, a2)], LOG)
  await expectBad(/never so at one time/, [...appends, page([20, 80], b1, a1)], LOG)
})

test('a list out of order, or with an entity twice, or with a wrong count is refused', async () => {
  await expectBad(/out of order/, [...APPENDS, page([70, 80], a2, b1)], LOG)
  await expectBad(/there twice/, [...APPENDS, page([70, 80], b1, a2, a2)], LOG)
  await expectBad(
    /3 entities were never/,
    [...APPENDS, { ...page([70, 80], b1, a2), total: 3 }],
    LOG,
  )
})

test('a batch that was seen or logged in part is refused', async () => {
  const batch = (at: Op['at']): Op => ({
    at,
    do: 'append',
    writes: [
      { pi: 'a', tip: 'a1' },
      { pi: 'b', tip: 'b1' },
    ],
    found: [
      { ...a1, status: 'appended' },
      { ...version('b', 1, 1), status: 'appended' },
    ],
  })
  const log = [a1, { ...b1, position: 1 }]
  await expectGood([batch([10, 90]), page([20, 80], b1, a1)], log)
  await expectBad(/never so at one time/, [batch([10, 90]), page([20, 80], a1)], log)
  await expectBad(/in part/, [{ ...batch([10]), outcome: 'unknown' }], [a1])
})

test('a refusal that shows what was not so is refused', async () => {
  const conflict: Op = {
    at: [70, 80],
    do: 'append',
    writes: [{ pi: 'a', tip: 'late', expectVer: 1 }],
    outcome: 'refused',
    found: [{ pi: 'a', ver: 1, tip: 'a1', status: 'conflict' }],
  }
  await expectBad(/no order of operations/, [...APPENDS, conflict], LOG)
})

test('a rollback puts all entities back at once, and to nothing else', async () => {
  const to = [{ pi: 'a', ver: 1, tip: 'a1' }]
  const mark: Op = { at: [25, 28], do: 'mark', pis: ['a', 'b'], found: to }
  const back: Op = { at: [70, 80], do: 'rollback', to }
  await expectGood([...APPENDS, mark, back, page([85, 90], a1), saw([75, 76], 'a', 2)])
  await expectBad(/no order/, [...APPENDS, mark, back, page([85, 90], b1, a1)])
  await expectBad(/no order/, [
    ...APPENDS,
    mark,
    back,
    saw([72, 73], 'a', 1),
    saw([74, 75], 'b', 1),
  ])
})

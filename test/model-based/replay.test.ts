/** Scripts that found something, as they were printed; and the printing itself. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import {
  append,
  at,
  build,
  checkAll,
  diff,
  expiring,
  exportAndRestoreAs,
  fill,
  get,
  history,
  list,
  otherWriter,
  prune,
  put,
  remove,
  reopen,
  retry,
  rollback,
  rollbackToCommit,
  tick,
  use,
  type Command,
} from './commands.ts'
import { replay } from './script.ts'

test('a script with all commands runs as it is written', async () => {
  await replay(openMemory(), [
    put(['a', 'é'], 1),
    fill('E', 150, 2),
    build('x'),
    append('a', 3, { above: 2 }),
    append('a', 3, { above: 0 }),
    append('a', 2, { above: -1 }),
    append('b', 1, { expectAbove: 0 }),
    retry(0, { exp: 'same' }),
    otherWriter(),
    remove(['E005', 'b']),
    expiring(['E064'], 1, 2),
    build(),
    tick({ days: 3 }),
    list({ prefix: 'E0', offset: 60, limit: 7, order: 'asc' }),
    rollback(1, { keepChain: true }),
    rollbackToCommit(2, { keepChain: false }),
    diff(0, 1),
    exportAndRestoreAs('b'),
    use('b'),
    get('a'),
    history('a'),
    at(0),
    use('main'),
    prune({ keepLast: 1 }),
    reopen(),
    checkAll(),
  ])
})

/** A store that believes in fewer blocks than it was given. */
const forgetful = (): ReturnType<typeof openMemory> => {
  const inner = openMemory()
  return wrapBackend(inner, {
    newest: async (dataset, than, options) => {
      const newest = await inner.newest(dataset, than, options)
      return newest !== undefined && newest.number > 2 ? undefined : newest
    },
  })
}

test('what fails is told as code', async () => {
  const script: readonly Command[] = [
    fill('E', 3, 1),
    append('a', 2, { above: 1, expectAbove: 0 }),
    build('x'),
    list({ limit: 1, prefix: 'é"' }),
  ]
  const failure = await replay(forgetful(), script).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(Error)
  const { message } = failure as Error
  const printed = message.slice(message.indexOf('await replay('))
  expect(printed).toBe(
    [
      'await replay(openMemory(), [',
      '  fill("E", 3, 1),',
      '  append("a", 2, { above: 1, expectAbove: 0 }),',
      '  build("x"),',
      '])',
      '',
    ].join('\n'),
  )
  expect(script.map(String)).toEqual([
    'fill("E", 3, 1)',
    'append("a", 2, { above: 1, expectAbove: 0 })',
    'build("x")',
    'list({ limit: 1, prefix: "é\\"" })',
  ])
})

test('what a rollback enters again at its old time is no difference', async () => {
  await replay(openMemory(), [
    append('E005', 1, { above: 2, untilDay: 8 }),
    expiring(['b', 'a/2', 'ab'], 2, 4),
    build(),
    rollback(4, { keepChain: true }),
    rollbackToCommit(2, { keepChain: false }),
    rollbackToCommit(28, { keepChain: true }),
    build('x'),
    put(['😀', 'a/2'], 1),
    rollbackToCommit(5, { keepChain: true }),
    build('x'),
    build('x'),
    diff(1, 4),
  ])
})

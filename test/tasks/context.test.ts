import { expect, test } from 'vitest'
import { CairnError, isCairnError } from '../../src/errors.ts'
import { SILENT } from '../../src/engine/logger.ts'
import { note, TaskFailure } from '../../src/tasks/context.ts'

test('a failure is the error that it is of, and carries a record that it does not tell', () => {
  const cause = new Error('below')
  const error = new CairnError('hook_failed', 'It ended.', { hint: 'Look.', path: '/a', cause })
  const failure = new TaskFailure(error, { status: 'exported' })
  expect(isCairnError(failure, 'hook_failed')).toBe(true)
  expect(failure.toJSON()).toEqual(error.toJSON())
  expect(failure).toMatchObject({ exitCode: 16, hint: 'Look.', cause })
  expect(failure.record).toEqual({ status: 'exported' })
  const bare = new TaskFailure(new CairnError('unhealthy', 'It failed.'), {})
  expect(bare.toJSON()).toEqual({ code: 'unhealthy', message: 'It failed.' })
})

test('a note goes to who asked for it, else to the log', () => {
  const told: unknown[] = []
  const log = { ...SILENT, info: (...args: unknown[]) => void told.push(args) }
  note({ dataset: 'main', log, onNote: (text) => told.push(text) }, 'one')
  note({ dataset: 'main', log }, 'two')
  expect(told).toEqual(['one', ['task.note', { dataset: 'main', message: 'two' }]])
})

import { expect, test } from 'vitest'
import { omit, pick } from '../../src/util/record.ts'

interface Named {
  readonly number: number
  readonly name: string | undefined
  readonly note?: string
}

const RECORD: Named = { number: 1, name: undefined }

test('what is picked is there as it was, an undefined too, and what was not there is not', () => {
  expect(pick(RECORD, 'name', 'note')).toStrictEqual({ name: undefined })
  expect(pick(RECORD)).toStrictEqual({})
})

test('what is omitted is gone, and all else there as it was', () => {
  expect(omit(RECORD, 'number', 'note')).toStrictEqual({ name: undefined })
  expect(omit(RECORD)).toStrictEqual(RECORD)
})

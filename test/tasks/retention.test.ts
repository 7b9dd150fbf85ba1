import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseSpan } from '../../src/cli/retention-options.ts'
import { SERVICE_SETTINGS } from '../../src/config/service-settings.ts'
import { CairnError, toCairnError } from '../../src/errors.ts'
import { parseRetention } from '../../src/tasks/retention.ts'

const DAY = 86_400_000

const refusal = (text: string): CairnError => {
  try {
    parseRetention(text)
  } catch (error) {
    return toCairnError(error)
  }
  return expect.fail(`"${text}" was taken`)
}

test('rules by name, in any order, with spaces where people put them', () => {
  expect(parseRetention('last=10,hourly=24,daily=30')).toEqual({ last: 10, hourly: 24, daily: 30 })
  expect(parseRetention(' within = 2w , tag=v1,yearly=0,tag= keep me ')).toEqual({
    withinMs: 14 * DAY,
    yearly: 0,
    tags: ['v1', 'keep me'],
  })
  expect(parseRetention('tag=a=b')).toEqual({ tags: ['a=b'] })
  expect(parseRetention(' never ')).toBeUndefined()
})

test('what settings have unless given can be read', () => {
  const basis = {} as Parameters<typeof SERVICE_SETTINGS.keep_cars.fallback>[0]
  for (const setting of [SERVICE_SETTINGS.keep_snapshots, SERVICE_SETTINGS.keep_cars])
    expect(parseRetention(setting.fallback(basis))).toMatchObject({ daily: expect.any(Number) })
})

test.each([
  '',
  ',',
  'last=10,',
  'last',
  'last=',
  '=1',
  'last=-1',
  'last=1.5',
  'last=1e3',
  'last=1000001',
  'last=99999999999999999999',
  'last=1,last=2',
  'within=1d,within=2d',
  'within=soon',
  'within=5ms',
  'Last=1',
  'withinMs=5',
  'tag=',
  'tags=a',
  'never,last=1',
  'constructor=1',
  '__proto__=1',
])('"%s" is refused', (text) => {
  const error = refusal(text)
  expect(error.code).toBe('usage')
  expect(error.hint).toContain('last=N')
})

test.each(['last=0', 'last=0,within=0', 'within=0d', 'daily=0,monthly=0'])(
  '"%s" keeps nothing',
  (text) => {
    expect(refusal(text)).toMatchObject({
      code: 'usage',
      message: expect.stringContaining('nothing'),
    })
  },
)

test('whatever rules there are, they are read as they were written', () => {
  const amount = fc.option(fc.nat(1_000_000), { nil: undefined })
  const rules = fc.record({
    last: fc.integer({ min: 1, max: 1_000_000 }),
    hourly: amount,
    daily: amount,
    weekly: amount,
    monthly: amount,
    yearly: amount,
  })
  const tag = fc.string({ minLength: 1 }).filter((one) => !one.includes(',') && one.trim() === one)
  const tags = fc.array(tag, { maxLength: 3 })
  fc.assert(
    fc.property(
      rules,
      tags,
      fc.nat(900),
      fc.constantFrom('s', 'm', 'h', 'd', 'w', 'y'),
      (...all) => {
        const [counts, named, count, unit] = all
        const given = Object.entries(counts).filter(([, value]) => value !== undefined)
        const span = `${count + 1}${unit}`
        const texts = [
          ...given.map(([name, value]) => `${name}=${value}`),
          `within=${span}`,
          ...named.map((one) => `tag=${one}`),
        ]
        expect(parseRetention(texts.join(','))).toEqual({
          ...Object.fromEntries(given),
          withinMs: parseSpan('--keep-within', span),
          ...(named.length === 0 ? {} : { tags: named }),
        })
      },
    ),
  )
})

test('any text is read or refused with a code', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      try {
        parseRetention(text)
      } catch (error) {
        expect(error).toBeInstanceOf(CairnError)
      }
    }),
  )
})

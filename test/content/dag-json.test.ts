/** JSON is read as DAG-JSON wherever that is another value: whichever way a slash is written. */
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { parseImportLine } from '../../src/cli/import-line.ts'
import { needsDagJson, parseContent, printContent } from '../../src/content/encode.ts'

const TIP = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
/** Every way in which JSON may write "/"; some libraries always write the second. */
const SLASHES = ['/', '\\/', '\\u002f', '\\u002F']

test.each(SLASHES)('a link whose key is written "%s" is a link', (slash) => {
  const text = `{"pi":"a","value":{"part":{"${slash}":"${TIP}"}}}`
  const line = parseImportLine({ number: 1, text })
  expect(line?.entry).toMatchObject({ value: { part: CID.parse(TIP) } })
})

test('a key that comes twice is told as that, by its name', () => {
  expect(() => parseContent('{"a":1,"b":{"a":1,"a":2}}')).toThrow('A value has the key "a" twice.')
  expect(() => parseContent('{"a":1,')).toThrow(/^A value is not JSON/)
})

const anyValue = fc.letrec((value) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constant(CID.parse(TIP)),
    fc.uint8Array({ maxLength: 4 }),
    fc.string(),
    fc.integer(),
    fc.array(value('any'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'a/b', '', '//'), value('any')),
  ),
})).any

test('what is not read as DAG-JSON is the same in plain JSON', () => {
  fc.assert(
    fc.property(anyValue, fc.array(fc.nat(3), { minLength: 1 }), (value, ways) => {
      let nth = 0
      const text = printContent(value).replaceAll(
        '/',
        () => SLASHES[ways[nth++ % ways.length] ?? 0] ?? '/',
      )
      if (!needsDagJson(text)) expect(JSON.parse(text)).toEqual(parseContent(text))
      expect(parseContent(text)).toEqual(value)
    }),
  )
})

/** What the views of entities are made of, without a browser. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diffValues, type JsonChange } from '../../web/src/views/entities/json-diff.ts'
import {
  firstPage,
  loadPage,
  PAGE,
  pageAfter,
  pageBefore,
  pageStateOf,
  queryOf,
} from '../../web/src/views/entities/paging.ts'
import { hexDump, sniff } from '../../web/src/views/entities/sniff.ts'
import { visiblePieces, visibleText } from '../../web/src/views/entities/visible.ts'
import { wayBack, wayOf, wayOn, wayQuery } from '../../web/src/views/entities/way.ts'
import type { PageQuery, PageRecord } from '../../src/client/records.ts'

describe('pages', () => {
  const ids = Array.from({ length: 233 }, (_, i) => `e${String(i).padStart(4, '0')}`)
  /** As the service answers. */
  const entities = async (query: PageQuery = {}): Promise<PageRecord> => {
    const { limit = 100, offset = 0, order = 'desc', prefix = '', from = '', to = '~' } = query
    const range = ids.filter((id) => id.startsWith(prefix) && id >= from && id < to)
    const ordered = order === 'asc' ? range : range.toReversed()
    const rest = ordered.slice(offset)
    const items = rest
      .slice(0, limit)
      .map((pi) => ({ pi, ver: 1, tip: 'x', ts: '2020-01-01T00:00:00Z', exp: null }))
    const more = rest.length > limit
    return { items, total_count: ids.length, has_more: more, next_cursor: more ? 'c' : null }
  }
  const source = { entities }

  test.each(['asc', 'desc'])('are turned to the end and back, in the order %s', async (order) => {
    const first = await loadPage(source, pageStateOf({ order }))
    const seen = [...first.items]
    let state = pageStateOf({ order })
    let page = first
    while (page.hasAfter) {
      state = pageAfter(state, page)
      expect(pageStateOf(queryOf(state))).toEqual(state)
      page = await loadPage(source, state)
      expect(page.offset).toBe(seen.length)
      seen.push(...page.items)
    }
    const all = order === 'asc' ? ids : ids.toReversed()
    expect(seen.map(({ pi }) => pi)).toEqual(all)
    while (page.hasBefore) {
      state = pageBefore(state, page)
      page = await loadPage(source, state)
      expect(page.items.map(({ pi }) => pi)).toEqual(all.slice(page.offset, page.offset + PAGE))
      expect(page.hasAfter).toBe(true)
    }
    expect(page).toEqual(first)
  })

  test('begin at a number, and go both ways from there, always with a full first page', async () => {
    const state = pageStateOf({ from: '70' })
    const page = await loadPage(source, state)
    expect(page.items[0]?.pi).toBe('e0070')
    const before = await loadPage(source, pageBefore(state, page))
    expect(before.items[0]?.pi).toBe('e0020')
    const first = await loadPage(source, pageBefore(state, before))
    expect(first).toMatchObject({ offset: 0, hasBefore: false })
    expect(first.items).toHaveLength(PAGE)
    expect(firstPage(state).offset).toBe(0)
    expect(pageStateOf({ from: '-3' }).offset).toBe(0)
  })

  test('go on when the id that they stand at is gone', async () => {
    const page = await loadPage(source, pageStateOf({ after: 'e0049x', from: '50' }))
    expect(page.items[0]?.pi).toBe('e0050')
    expect(page.items).toHaveLength(PAGE)
  })
})

describe('the difference of two values', () => {
  const json = fc.jsonValue({ maxDepth: 4 })

  test('is nothing where they are the same, and something where they are not', () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        expect(diffValues(a, structuredClone(a)).changes).toEqual([])
        const isSame = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
        expect(diffValues(a, b).changes.length === 0).toBe(isSame)
      }),
    )
  })

  test('names fields, and items of lists once', () => {
    const before = { a: 1, list: [1, 2, 3], gone: true, same: { x: [1] } }
    const after = { a: 2, list: [1, 9, 2, 3], same: { x: [1] }, new: null }
    const told = diffValues(before, after).changes.map(({ kind, path }) => [kind, path.join('.')])
    expect(told).toEqual([
      ['changed', 'a'],
      ['added', 'list.1'],
      ['removed', 'gone'],
      ['added', 'new'],
    ])
  })

  test('is bounded, in number and in time', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i]))
    const { changes, cut } = diffValues({}, many)
    expect([changes.length, cut]).toEqual([200, true])
    let [left, right]: [unknown, unknown] = [1, 2]
    for (let i = 0; i < 900; i++) [left, right] = [[left], [right]]
    const [change]: readonly (JsonChange | undefined)[] = diffValues(left, right).changes
    expect(change?.path.length).toBe(30)
  })

  function sorted(value: unknown): unknown {
    if (Object.is(value, -0)) return '-0'
    if (Array.isArray(value)) return value.map(sorted)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, one]) => [name, sorted(one)]),
    )
  }
})

test('what cannot be seen in a text is named, and nothing else is touched', () => {
  expect(visibleText('user\u202egnp.exe')).toBe('user[U+202E]gnp.exe')
  expect(visibleText('a\u0000b\u200bc\u{e0041}')).toBe('a[U+0000]b[U+200B]c[U+E0041]')
  expect(visiblePieces('a\nb', { lines: true })).toEqual([{ text: 'a\nb', named: false }])
  expect(visibleText('a\nb')).toBe('a[U+000A]b')
  expect(visibleText(`a${'\u0301'.repeat(18)}b`)).toBe(
    `a${'\u0301'.repeat(16)}${'[U+0301]'.repeat(2)}b`,
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const pieces = visiblePieces(text)
      const back = pieces.map((piece) =>
        piece.named ? String.fromCodePoint(Number(`0x${piece.text.slice(2)}`)) : piece.text,
      )
      expect(back.join('')).toBe(text)
      expect(pieces.map((piece) => piece.text).join('')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u)
    }),
  )
})

test('bytes are taken for what they are, and for nothing more', () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0])
  expect(sniff(png, false)).toEqual({ kind: 'image', type: 'image/png' })
  expect(sniff(png, true).kind).toBe('other')
  // Drawing it could take for ever.
  expect(sniff(bytes('<?xml version="1.0"?>\n<svg onload="x"/>'), false).kind).toBe('text')
  expect(sniff(bytes('<html><svg></svg></html>'), false).kind).toBe('text')
  expect(sniff(bytes('Grüße\n'), false)).toEqual({ kind: 'text', text: 'Grüße\n' })
  expect(sniff(bytes('ü').subarray(0, 1), true)).toEqual({ kind: 'text', text: '' })
  expect(sniff(bytes('a\u0000b'), false).kind).toBe('other')
  expect(sniff(bytes(`<!--${'--><!--'.repeat(10_000)}`), false).kind).toBe('text')
  expect(hexDump(bytes('Cairn\n'))).toMatch(/^000000 {2}43 61 69 72 6e 0a +Cairn\.$/)
})

test('the way through a DAG is kept in the address, its end when it is long', () => {
  const start = { pi: 'a/b?', cids: [] }
  const two = wayOn(wayOn(start, 'one'), 'two')
  expect(wayOf(wayQuery(two))).toEqual({ pi: 'a/b?', cids: ['one', 'two'] })
  expect(wayOn(two, 'one').cids).toEqual(['one'])
  expect(wayBack(two, 1).cids).toEqual(['one'])
  const long = Array.from({ length: 40 }, (_, i) => `b${i}`).reduce(wayOn, start)
  expect(wayOf(wayQuery(long)).cids).toEqual(long.cids.slice(-12))
  expect(wayOf({})).toEqual({ pi: undefined, cids: [] })
})

/** `cairn top`: the picture by lines, the numbers behind it, and the life of the screen with keys and outages. */
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CairnError } from '../../src/errors.ts'
import { NO_HISTORY, ratesOf, remember, series, type History } from '../../src/cli/top/history.ts'
import type { Look, SlowLook, Source } from '../../src/cli/top/look.ts'
import { quantile, readCounters, type Counters } from '../../src/cli/top/metrics.ts'
import { topRecord } from '../../src/cli/top/record.ts'
import { renderTop, type TopState } from '../../src/cli/top/render.ts'
import type { TopStyle } from '../../src/cli/top/row.ts'
import { runLive } from '../../src/cli/top/run.ts'
import { keysOf, type ScreenEvents } from '../../src/cli/top/screen.ts'
import { bar, spark } from '../../src/cli/top/spark.ts'
import { cut, textWidth, wrap } from '../../src/cli/text.ts'

const NOW = Date.parse('2026-05-01T12:00:00Z')

const SLOW: SlowLook = {
  level: 'ok',
  alerts: [],
  checks: 12,
  build: { at: NOW - 60_000, ok: true, ms: 240, folded: 1234 },
  car: { at: NOW - 3_600_000, next: 5000, generation: 1, bytes: 12 << 20, count: 3 },
  drill: { at: NOW - 86_400_000, ok: true },
  upcoming: [{ kind: 'export', at: NOW + 7_200_000 }],
}

const COUNTERS: Counters = {
  startedAt: 1,
  requests: 100,
  reads: 60,
  appended: 10,
  requestTimes: new Map([
    [0.01, 90],
    [Infinity, 100],
  ]),
  appendTimes: new Map([[Infinity, 0]]),
  memoryBytes: 90 << 20,
  heapBytes: 30 << 20,
}

function look(more: Partial<Look> = {}): Look {
  return {
    at: NOW,
    dataset: 'main',
    entities: 12_345,
    next: 5678,
    commit: 99,
    generation: 1,
    recent: 2345,
    chainLimit: 10_000,
    snapshotSeq: 31,
    snapshotTs: NOW - 120_000,
    storeBytes: 123 << 20,
    freeBytes: 5 * 2 ** 30,
    counters: COUNTERS,
    jobs: [],
    changes: [{ position: 5677, pi: 'user:1', ver: 2, deleted: false, ts: NOW - 3000 }],
    slow: SLOW,
    ...more,
  }
}

function state(more: Partial<TopState> = {}): TopState {
  const seen = 'look' in more ? more.look : look()
  return {
    source: 'http://127.0.0.1:3000',
    dataset: 'main',
    now: NOW,
    look: seen,
    history: seen === undefined ? NO_HISTORY : remember(NO_HISTORY, seen),
    trouble: undefined,
    paused: false,
    help: false,
    ...more,
  }
}

const style = (more: Partial<TopStyle> = {}): TopStyle => ({
  columns: 80,
  rows: 24,
  utf8: true,
  color: false,
  ...more,
})

const history = (...looks: Look[]): History => looks.reduce(remember, NO_HISTORY)

describe('the picture', () => {
  test('80 columns', () => {
    const job = {
      kind: 'verify',
      running: true,
      startedAt: NOW - 65_000,
      stuck: false,
      progress: { step: 'verify', done: 1, total: 4 },
    }
    expect(renderTop(state({ look: look({ jobs: [job] }) }), style())).toEqual([
      'cairn top  main  http://127.0.0.1:3000                                 12:00:00Z',
      ' SAFE   all 12 checks are well',
      '',
      'entities  12,345                         log       5,678 entries',
      'appends   not yet known                  requests  not yet known',
      'reads     not yet known',
      'chain     ███████████▌░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 2,345 of 10,000  23%',
      'build     done 1 min ago, folded 1,234 in 240 ms',
      'snapshot  31, 2 min ago                  drill     passed 24 h ago',
      'CAR       1 h ago, lacks 678 entries, 12.0 MiB, 3 CARs',
      'store     123.0 MiB, 5.0 GiB free        memory    90.0 MiB, heap 30.0 MiB',
      'next      export in 2 h',
      '',
      'verify    1 min  █████░░░░░░░░░░░░░░░ verify 25%',
      '',
      '5,677  3 s     v2       user:1',
      ...Array.from({ length: 7 }, () => ''),
      'q quit   p pause   d next dataset   ? help',
    ])
  })

  test('40 columns: one fact a line, what is wrong in full, the least important gone', () => {
    const alerts = [
      {
        check: 'car',
        level: 'critical' as const,
        message: 'The newest CAR is 60.0 hours old and lacks 678 entries, more than may be',
        hint: 'cairn export-car',
      },
    ]
    const bad = look({ slow: { ...SLOW, level: 'critical', alerts } })
    const lines = renderTop(state({ look: bad }), style({ columns: 40, rows: 14 }))
    expect(lines).toEqual([
      'cairn top  main  http://127.0.0.1:3000',
      ' CRITICAL   1 of 12 checks found someth…',
      '  car: The newest CAR is 60.0 hours old',
      '  and lacks 678 entries, more than may',
      '  be',
      'entities  12,345',
      'appends   not yet known',
      'requests  not yet known',
      'chain     ██▏░░░░░░ 2,345 of 10,000  23%',
      'build     done 1 min ago, folded 1,234 …',
      'snapshot  31, 2 min ago',
      'drill     passed 24 h ago',
      'CAR       1 h ago, lacks 678 entries, 1…',
      'q quit p pause d next ? help',
    ])
  })

  test('a service that has gone is said at the top, over what was seen last', () => {
    const error = new CairnError('backend_unavailable', 'It does not answer.', {
      hint: 'Start it.',
    })
    const trouble = { error, since: NOW - 5000 }
    const lines = renderTop(state({ trouble }), style())
    expect(lines.slice(1, 5)).toEqual([
      ' NO ANSWER   for 5 s; trying again',
      '  It does not answer.',
      '  hint: Start it.',
      '  what follows was seen at 12:00:00Z',
    ])
    expect(lines.join('\n')).toContain('12,345')
    expect(renderTop(state({ trouble, look: undefined }), style()).join('\n')).toContain(
      'NO ANSWER',
    )
    const refused = { error: new CairnError('unauthenticated', 'No.'), since: NOW }
    expect(renderTop(state({ trouble: refused }), style())[1]).toContain('FAILED')
  })

  test('ids and messages from outside are shown, not obeyed; wide ones are measured', () => {
    const changes = [
      { position: 2, pi: '\u001B[2J\r\n日本語', ver: 1, deleted: true, ts: NOW },
      { position: 1, pi: '👩‍👩‍👧'.repeat(60), ver: 1, deleted: false, ts: NOW },
    ]
    const lines = renderTop(state({ look: look({ changes }) }), style({ color: true }))
    expect(lines.join('\n')).toContain('\\u001b[2J\\u000d\\u000a日本語')
    const plain = lines.map((line) => line.replaceAll(/\u001B\[[0-9;]*m/g, ''))
    expect(plain.every((line) => textWidth(line) <= 80)).toBe(true)
    expect(plain.join('')).not.toMatch(/[\u0000-\u001F]/)
  })

  test('whatever the size, it fits, and the verdict is there', () => {
    const sizes = fc.record({
      columns: fc.integer({ min: 1, max: 200 }),
      rows: fc.integer({ min: 1, max: 60 }),
    })
    const shown = fc.record({ paused: fc.boolean(), help: fc.boolean() })
    fc.assert(
      fc.property(sizes, shown, fc.boolean(), (size, more, utf8) => {
        const lines = renderTop(state(more), style({ ...size, utf8 }))
        expect(lines.length).toBe(size.rows)
        for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(size.columns)
        if (!more.help && size.rows > 2 && size.columns > 10) expect(lines[1]).toContain('SAFE')
        if (!utf8) expect(lines.join('')).toMatch(/^[\u0000-\u007F]*$/)
      }),
    )
  })

  test('without colors there is no escape; with them every line ends as it began', () => {
    expect(renderTop(state(), style()).join('')).not.toContain('\u001B')
    for (const line of renderTop(state(), style({ color: true })))
      if (line.includes('\u001B')) expect(line.split('\u001B[0m').length).toBeGreaterThan(1)
  })

  test('printed once it has all facts, and no keys', () => {
    const lines = renderTop(state(), style({ columns: 100, rows: Infinity }))
    expect(lines.at(-1)).toContain('user:1')
    expect(lines.join('\n')).not.toContain('q quit')
  })

  test('a build under way, a store that tells nothing, no CAR and no drill', () => {
    const job = {
      kind: 'build',
      running: true,
      startedAt: NOW,
      stuck: true,
      progress: { step: 'merge', done: 500, total: 1000 },
    }
    const alerts = [{ check: 'drill', level: 'warning' as const, message: 'none', hint: null }]
    const slow = { ...SLOW, build: null, car: undefined, drill: undefined, alerts }
    const bare = look({ counters: null, storeBytes: null, freeBytes: null, slow, jobs: [job] })
    const text = renderTop(state({ look: bare }), style()).join('\n')
    expect(text).toContain('build     running merge 50%')
    expect(text).toContain('CAR       none')
    expect(text).toMatch(/drill {5}none/)
    expect(text).toContain('store     does not tell')
    expect(text).toContain('no progress')
    expect(text).not.toContain('memory')
  })
})

describe('pictures of numbers', () => {
  test('sparklines', () => {
    expect(spark([0, 1, 2, 3, 4, 5, 6, 7], 8, { utf8: true })).toBe('▁▂▃▄▅▆▇█')
    expect(spark([9, 100, 101], 2, { utf8: true, floating: true })).toBe('▁█')
    expect(spark([0, 0], 9, { utf8: false })).toBe('__')
    expect(spark([5], 9, { utf8: true })).toBe('')
  })

  test('bars', () => {
    expect([0, 0.5, 1, 7, Number.NaN].map((part) => bar(part, 4, true))).toEqual([
      '░░░░',
      '██░░',
      '████',
      '████',
      '░░░░',
    ])
    expect(bar(0.47, 4, true)).toBe('█▉░░')
    expect(bar(0.47, 4, false)).toBe('##..')
  })

  test('text is cut and wrapped by what people see', () => {
    expect(cut('日本語', 5)).toBe('日本…')
    expect(cut('日本語', 4)).toBe('日…')
    expect(cut('abc', 3)).toBe('abc')
    expect(cut('abc', 0)).toBe('')
    expect(textWidth('e\u0301👍🏽')).toBe(3)
    expect(wrap('one two three four', 8, 3)).toEqual(['one two', 'three', 'four'])
    expect(wrap('one two three four', 5, 2)).toEqual(['one', 'two three four'])
  })
})

describe('the numbers', () => {
  const METRICS = `# HELP cairn_http_requests_total Requests
cairn_http_requests_total{route="/metrics",method="GET",status="200"} 10
cairn_http_requests_total{route="/v1/datasets/:dataset/entities",method="GET",status="200"} 50
cairn_http_requests_total{route="/v1/datasets/:dataset/entities/:pi",method="PUT",status="201"} 30
cairn_http_request_seconds_bucket{le="0.01",route="/metrics"} 1000
cairn_http_request_seconds_bucket{le="0.01",route="/v1/datasets/:dataset/entities"} 40
cairn_http_request_seconds_bucket{le="+Inf",route="/v1/datasets/:dataset/entities"} 50
cairn_entries_appended_total{dataset="main"} 7
cairn_entries_appended_total{dataset="a\\"b"} 99
process_start_time_seconds 5
process_resident_memory_bytes 1e+08
nodejs_heap_size_used_bytes nonsense
cairn_http_requests_total{route="x"} Nan
`

  test('of the metrics: all but our own', () => {
    const counters = readCounters(METRICS, 'main', 10)
    expect(counters).toMatchObject({ requests: 80, reads: 50, appended: 7, startedAt: 5 })
    expect(counters).toMatchObject({ memoryBytes: 1e8, heapBytes: null })
    expect([...counters.requestTimes]).toEqual([
      [0.01, 40],
      [Infinity, 50],
    ])
    expect(readCounters('<html>', 'main', 0)).toMatchObject({ requests: 0, memoryBytes: null })
  })

  test('a quantile lies in its bucket', () => {
    const none = new Map<number, number>()
    const after = new Map([
      [0.01, 90],
      [0.1, 99],
      [Infinity, 100],
    ])
    expect(quantile(none, after, 0.5)).toBeCloseTo(0.00556, 4)
    expect(quantile(none, after, 0.99)).toBeCloseTo(0.1, 9)
    expect(quantile(none, after, 1)).toBe(0.1)
    expect(quantile(after, after, 0.99)).toBeUndefined()
  })

  test('rates are means of the last ten seconds', () => {
    const looks = Array.from({ length: 31 }, (_, i) =>
      look({
        at: NOW + i * 1000,
        next: i <= 20 ? 0 : (i - 20) * 50,
        storeBytes: 1000 * i,
        counters: { ...COUNTERS, requests: -7 + i * 20, reads: i * 10 },
      }),
    )
    const rates = ratesOf(history(...looks))
    expect(rates).toMatchObject({ appends: 50, requests: 20, reads: 10, growth: 60_000 })
    expect(series(history(...looks), 'appends').slice(18, 22)).toEqual([0, 0, 50, 50])
    expect(ratesOf(NO_HISTORY).appends).toBeNull()
    expect(ratesOf(history(look())).appends).toBeNull()
  })

  test.each([
    ['a rollback', { generation: 2 }],
    ['a log that went back', { next: 3 }],
    ['a service that began anew', { counters: { ...COUNTERS, startedAt: 2 } }],
    ['another dataset', { dataset: 'other' }],
  ])('%s begins a new history', (_, change) => {
    const before = history(look(), look({ at: NOW + 1000 }))
    expect(remember(before, look({ at: NOW + 2000, ...change })).looks.length).toBe(1)
    expect(remember(before, look({ at: NOW + 2000 })).looks.length).toBe(3)
  })

  test('it forgets', () => {
    let all = NO_HISTORY
    for (let i = 0; i < 2000; i++) all = remember(all, look({ at: NOW + i }))
    expect(all.looks.length).toBe(600)
  })

  test('as a record', () => {
    const record = topRecord('here', look(), history(look()))
    expect(record).toMatchObject({
      source: 'here',
      dataset: 'main',
      at: '2026-05-01T12:00:00.000Z',
      level: 'ok',
      per_second: { appends: null },
      car: { at: '2026-05-01T11:00:00.000Z', next: 5000 },
      changes: [{ pi: 'user:1', ts: '2026-05-01T11:59:57.000Z' }],
    })
  })
})

describe('the life of the screen', () => {
  interface Live {
    readonly frames: string[]
    readonly press: (key: string) => void
    readonly events: () => ScreenEvents
    readonly closed: () => number
    readonly stop: AbortController
    readonly end: Promise<void>
  }

  function live(source: Partial<Source>): Live {
    const frames: string[] = []
    const stop = new AbortController()
    let given: ScreenEvents | undefined
    let closed = 0
    const events = (): ScreenEvents => {
      if (given === undefined) throw new Error('no screen was opened')
      return given
    }
    const end = runLive({
      source: {
        name: 'here',
        datasets: async () => ['a', 'main'],
        look: async () => look(),
        ...source,
      },
      dataset: 'main',
      everyMs: 5,
      style: { utf8: true, color: false },
      open: (one) => {
        given = one
        return {
          size: () => ({ columns: 80, rows: 24 }),
          draw: (lines) => void frames.push(lines.join('\n')),
          close: () => void (closed += 1),
        }
      },
      signal: stop.signal,
      now: Date.now,
    })
    const press = (key: string): void => events().onKey(key)
    return { frames, press, events, closed: () => closed, stop, end }
  }

  async function seen({ frames }: Live, text: string): Promise<void> {
    for (let i = 0; i < 400 && frames.at(-1)?.includes(text) !== true; i++) await delay(5)
    expect(frames.at(-1)).toContain(text)
  }

  test.each(['q', '\u0003'])('%j ends it, and the terminal is given back', async (key) => {
    const one = live({})
    await seen(one, 'SAFE')
    one.press(key)
    await one.end
    expect(one.closed()).toBeGreaterThan(0)
  })

  test('a look that never comes back does not keep a key from ending it', async () => {
    const one = live({
      look: async (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')))
        }),
    })
    await seen(one, 'looking')
    one.press('q')
    await one.end
  })

  test('a signal ends it as aborted, with the terminal given back at once', async () => {
    const one = live({})
    await seen(one, 'SAFE')
    one.stop.abort('SIGTERM')
    expect(one.closed()).toBe(1)
    await expect(one.end).rejects.toMatchObject({ code: 'aborted' })
  })

  test('what goes away comes back', async () => {
    let up = false
    const one = live({
      look: async () => {
        if (up) return look()
        throw new CairnError('backend_unavailable', 'Nobody is there.')
      },
    })
    await seen(one, 'Nobody is there.')
    up = true
    await seen(one, 'SAFE')
    up = false
    await seen(one, 'what follows was seen at')
    one.press('q')
    await one.end
  })

  test('what will not pass by itself ends it at the first look, not later', async () => {
    const refused = new CairnError('unauthenticated', 'No token.')
    const one = live({ look: async () => Promise.reject(refused) })
    await expect(one.end).rejects.toBe(refused)
    expect(one.closed()).toBeGreaterThan(0)
    let looks = 0
    const two = live({
      look: async () => {
        if (looks++ > 0) throw refused
        return look()
      },
    })
    await seen(two, 'FAILED')
    two.press('q')
    await two.end
  })

  test('d goes to the next dataset, p holds, ? helps', async () => {
    const asked: string[] = []
    const one = live({
      look: async (dataset) => {
        asked.push(dataset)
        return look({ dataset, at: Date.now() })
      },
    })
    await seen(one, 'cairn top  main')
    one.press('d')
    await seen(one, 'cairn top  a')
    expect(new Set(asked)).toEqual(new Set(['main', 'a']))
    one.press('p')
    await seen(one, 'PAUSED')
    await delay(20)
    const held = asked.length
    await delay(50)
    expect(asked.length).toBe(held)
    one.press('p')
    await seen(one, 'SAFE   all 12 checks are well\n')
    one.press('?')
    await seen(one, 'what is what')
    one.press('?')
    await seen(one, 'SAFE')
    one.press('q')
    await one.end
  })

  test('keys of several characters are one key', () => {
    expect(keysOf('q\u001B[Aa\u001BOPx\u001B[1;5C\u001B')).toEqual([
      'q',
      '\u001B[A',
      'a',
      '\u001BOP',
      'x',
      '\u001B[1;5C',
      '\u001B',
    ])
  })
})

/** The graph of snapshots: as lines, and of a real store with rollbacks and a CAR. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { graphLines, type GraphStyle } from '../../src/cli/snapshot-graph.ts'
import type { HistoryNode } from '../../src/cli/snapshot-history.ts'
import { isUtf8 } from '../../src/cli/locale.ts'
import { textWidth } from '../../src/cli/text.ts'
import { ndjson, Sandbox } from './sandbox.ts'

const style = (more: Partial<GraphStyle> = {}): GraphStyle => ({
  utf8: true,
  bold: (text) => text,
  ...more,
})

function node(seq: number, prev: number | null, more: Partial<HistoryNode> = {}): HistoryNode {
  return {
    cid: `cid${seq}`,
    seq,
    ts: `2026-05-01T12:00:${String(seq % 60).padStart(2, '0')}.000Z`,
    entries: 10,
    live: 10,
    reason: 'build',
    tags: [],
    current: false,
    prev: prev === null ? null : `cid${prev}`,
    changes: { added: 1, changed: 0, removed: 0 },
    cars: [],
    followed_by: [],
    ...more,
  }
}

const pictures = (lines: readonly string[]): string[] =>
  lines.map((line) => line.replace(/ +\d+ {2}2026.*$/, ''))

describe('the picture', () => {
  test('one line of builds', () => {
    const nodes = [
      node(2, 1, { current: true, tags: ['v1'], cars: ['a.car', 'b.car'] }),
      node(1, null),
    ]
    expect(graphLines(nodes, style())).toEqual([
      '● 2  2026-05-01T12:00:02Z  10  +1  ▣2  cid2  [v1] build',
      '○ 1  2026-05-01T12:00:01Z  10  +1      cid1  build',
    ])
  })

  test('what others were built on again has a line from each of them', () => {
    const nodes = [node(6, 1), node(5, 2), node(4, 2), node(3, 1), node(2, 1), node(1, null)]
    expect(pictures(graphLines(nodes, style()))).toEqual([
      '○',
      '│ ○',
      '│ │ ○',
      '│ │ │ ○',
      '│ ├─╯ │',
      '│ ○   │',
      '├─┴───╯',
      '○',
    ])
  })

  test('a line that goes on below crosses', () => {
    const nodes = [node(6, 1), node(5, 2), node(4, 1), node(1, 0), node(2, 0), node(0, null)]
    expect(pictures(graphLines(nodes, style()))).toEqual([
      '○',
      '│ ○',
      '│ │ ○',
      '├─┼─╯',
      '○ │',
      '│ ○',
      '├─╯',
      '○',
    ])
    expect(pictures(graphLines(nodes, style({ utf8: false })))).toEqual([
      'o',
      '| o',
      '| | o',
      "|-+-'",
      'o |',
      '| o',
      "|-'",
      'o',
    ])
  })

  test('what it was built on is not kept', () => {
    const nodes = [node(9, 7, { changes: null }), node(4, 2, { changes: null })]
    expect(pictures(graphLines(nodes, style()))).toEqual(['○', '┊', '○', '┊'])
  })

  test('text from outside is shown, not obeyed; lines are cut at the width', () => {
    const wide = node(1, null, { reason: '\u001B[31m日本語日本語日本語', tags: ['\n'] })
    const [line = ''] = graphLines([wide], style())
    expect(line).toContain('[\\u000a] \\u001b[31m日本語')
    for (const width of [1, 20, 40, 60, 80])
      for (const one of graphLines([wide, node(0, null)], style({ width })))
        expect(textWidth(one)).toBeLessThanOrEqual(width)
  })

  test('whatever was built on whatever, each snapshot has one sign, and no line begins or ends in the air', () => {
    const parents = fc.array(fc.option(fc.nat(40), { nil: null }), { maxLength: 25 })
    fc.assert(
      fc.property(parents, (all) => {
        const count = all.length
        const nodes = all.map((prev, i) => node(count - i, prev))
        const lines = graphLines(nodes, style()).map((line) => line.replace(/\d+ {2}2026.*$/, ''))
        expect(lines.join('').match(/[○●]/g)?.length ?? 0).toBe(count)
        const sign = (row: number, column: number): string => lines[row]?.[column] ?? ' '
        const down = /[○●│├┼]/
        const up = /[│├┼╯┴┊]/
        lines.forEach((line, row) => {
          line.split('').forEach((one, column) => {
            if (up.test(one)) expect(sign(row - 1, column)).toMatch(down)
            if (/[│├┼]/.test(one)) expect(sign(row + 1, column)).toMatch(/[○●│├┼╯┴┊]/)
          })
        })
      }),
    )
  })

  test.each([
    [{ LANG: 'de_DE.UTF-8' }, true],
    [{ LANG: 'en_US.utf8', LC_ALL: 'C' }, false],
    [{ LC_ALL: '', LC_CTYPE: 'C.UTF-8', LANG: 'C' }, true],
    [{}, false],
  ])('%o is UTF-8: %s', (env, is) => {
    expect(isUtf8(env)).toBe(is)
  })
})

describe('of a store', () => {
  let box: Sandbox
  const build = async (line: string, reason: string): Promise<void> => {
    await box.ok(['import', '-'], { input: line })
    await box.ok(['build-snapshot', '--reason', reason])
  }

  beforeAll(async () => {
    box = await Sandbox.make()
    await build('{"pi":"a","value":1}\n{"pi":"b","value":1}\n', 'one')
    await build('{"pi":"a","value":2}\n{"pi":"b","tip":null}\n{"pi":"c","value":1}\n', 'two')
    await box.ok(['export-car'])
    await box.ok(['rollback', 'seq:1', '--yes'])
    await build('{"pi":"d","value":1}\n', 'three')
  }, 60_000)

  afterAll(() => box.remove())

  test('with --json: what changed, what is current, which CARs hold it, the rollback', async () => {
    const nodes = ndjson(await box.ok(['snapshots', '--graph', '--json']))
    const plain = ndjson(await box.ok(['snapshots', '--json']))
    const [three, two, one, none] = nodes
    expect(nodes.map(({ reason }) => reason)).toEqual(['three', 'two', 'one', 'init'])
    expect(nodes).toEqual(plain.map((record) => expect.objectContaining(record) as unknown))
    expect(three).toMatchObject({ current: true, prev: one?.['cid'], followed_by: [] })
    expect(three?.['changes']).toEqual({ added: 1, changed: 0, removed: 0 })
    expect(two).toMatchObject({ current: false, prev: one?.['cid'] })
    expect(two?.['changes']).toEqual({ added: 1, changed: 1, removed: 1 })
    expect(two?.['cars']).toEqual([expect.stringMatching(/^main-2-.*\.car$/)])
    expect(two?.['followed_by']).toEqual([
      expect.objectContaining({ generation: 2, reason: 'rollback', seq: 1 }),
    ])
    expect(none).toMatchObject({ prev: null, changes: null, cars: [] })
  })

  test('as lines', async () => {
    const lines = (await box.ok(['snapshots', '--graph'], { env: { LC_ALL: 'C.UTF-8' } })).split(
      '\n',
    )
    expect(lines.map((line) => line.replace(/ +\d {2}20.*$/, ''))).toEqual([
      '●',
      '│ ↶ generation',
      '│ ○',
      '├─╯',
      '○',
      '○',
      '',
    ])
    expect(lines[1]).toMatch(/ rollback, to snapshot 1$/)
    expect(await box.ok(['snapshots', '--graph', '--limit', '1'])).toMatch(/^\* 3.*three\n:\n$/)
  })

  test('a backups folder that cannot be read, and a prune, leave the rest', async () => {
    await box.ok(['prune', '--keep-last', '2'])
    const env = { CAIRN_BACKUPS_DIR: await box.write('no-folder', '') }
    const nodes = ndjson(await box.ok(['snapshots', '--graph', '--json'], { env }))
    expect(nodes.map(({ seq, changes, cars }) => ({ seq, changes, cars }))).toEqual([
      { seq: 3, changes: null, cars: [] },
      { seq: 2, changes: null, cars: [] },
    ])
  })
})

/** `cairn top` in a real terminal, which `script` makes; what it writes, and what it leaves behind. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { textWidth } from '../../src/cli/text.ts'
import { Sandbox } from './sandbox.ts'

const ENTER = '\u001B[?1049h'
const LEAVE = '\u001B[?7h\u001B[?25h\u001B[?1049l'

let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
  await box.ok(['import', '-'], { input: '{"pi":"first \\u001b[2J","value":1}\n' })
  await box.ok(['build-snapshot'])
}, 60_000)

afterAll(() => box.remove())

interface Terminal {
  readonly child: ChildProcessWithoutNullStreams
  readonly text: () => string
  readonly shows: (text: string | RegExp) => Promise<void>
  /** All that was written, when it has ended; behind it what the terminal is set to. */
  readonly ended: () => Promise<string>
}

function terminal(
  args: string,
  {
    columns = 80,
    rows = 24,
    env = {},
  }: { columns?: number; rows?: number; env?: Record<string, string> } = {},
): Terminal {
  const cairn = `'${process.execPath}' '${box.bin()}' ${args}`
  const line = `stty cols ${columns} rows ${rows}; ${cairn}; echo EXIT=$?; stty -a`
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    cwd: box.dir,
    env: { ...box.env, TERM: 'xterm', LC_ALL: 'C.UTF-8', ...env },
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part))
  const closed = new Promise<void>((resolve) => {
    child.on('close', () => resolve())
  })
  return {
    child,
    text: () => text,
    shows: async (wanted) => {
      const is = (): boolean =>
        typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text)
      for (let i = 0; i < 400 && !is(); i++) await delay(25)
      expect(is() || text).toBe(true)
    },
    ended: async () => {
      await closed
      return text
    },
  }
}

/** The pictures that were drawn, without colors. */
const framesOf = (text: string): string[][] =>
  text
    .slice(text.indexOf(ENTER), text.lastIndexOf(LEAVE))
    .split('\u001B[H')
    .slice(1)
    .map((frame) => frame.replaceAll(/\u001B\[[0-9;]*[mKJ]/g, '').split(/\r+\n/))

function expectGivenBack(all: string): void {
  expect(all.split(ENTER).length).toBe(all.split(LEAVE).length)
  expect(all.lastIndexOf(LEAVE)).toBeGreaterThan(all.lastIndexOf(ENTER))
  expect(all).toMatch(/[^-]icanon/)
  expect(all).toMatch(/[^-]echo /)
}

test.each([
  [80, 24],
  [40, 20],
])('%d columns, %d rows: it fits, q ends it', async (columns, rows) => {
  const one = terminal('top --every 300ms', { columns, rows })
  await one.shows('first')
  await delay(700)
  one.child.stdin.write('?')
  await one.shows('what is what')
  one.child.stdin.write('?q')
  const all = await one.ended()
  expect(all).toContain('EXIT=0')
  expectGivenBack(all)
  const frames = framesOf(all)
  expect(frames.length).toBeGreaterThan(3)
  for (const frame of frames) {
    expect(frame.length).toBeLessThanOrEqual(rows)
    for (const line of frame) expect(textWidth(line)).toBeLessThanOrEqual(columns)
  }
  expect(all).toContain('first \\u001b[2J')
})

test('Ctrl-C ends it, NO_COLOR and another locale are heeded', async () => {
  const one = terminal('top', { env: { NO_COLOR: '1', LC_ALL: 'C' } })
  await one.shows('chain ')
  one.child.stdin.write('\u0003')
  const all = await one.ended()
  expect(all).toContain('EXIT=0')
  expectGivenBack(all)
  const drawn = all.slice(0, all.lastIndexOf(LEAVE))
  expect(drawn).not.toMatch(/\u001B\[[0-9;]+m/)
  expect(drawn).toMatch(/^[\u0000-\u007F]*$/)
})

test('SIGTERM gives the terminal back before the error is told', async () => {
  const one = terminal('top & P=$!; sleep 3; kill $P; wait $P', {})
  const all = await one.ended()
  expect(all).toContain('EXIT=143')
  expect(all.indexOf('The operation was aborted')).toBeGreaterThan(all.lastIndexOf(LEAVE))
  expectGivenBack(all)
}, 20_000)

test('a service that is not there is waited for; what will not pass ends with its code', async () => {
  const away = terminal('top --url http://127.0.0.1:1 --every 200ms')
  await away.shows('NO ANSWER')
  away.child.stdin.write('q')
  expectGivenBack(await away.ended())
  const wrong = terminal('top -d nothing')
  const all = await wrong.ended()
  expect(all).toContain('EXIT=10')
  expectGivenBack(all)
})

test('a terminal that can do nothing gets one plain printout', async () => {
  const all = await terminal('top', { env: { TERM: 'dumb' } }).ended()
  expect(all).toContain('entities')
  expect(all).not.toContain(ENTER)
  expect(all).toContain('EXIT=0')
})

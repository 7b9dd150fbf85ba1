import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { redactor } from '../../src/config/secrets.ts'
import { prettyLine } from '../../src/service/run/log-pretty.ts'
import { openLog, type LogOptions, type ServiceLog } from '../../src/service/run/log.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { tempDir } from '../helpers/engine.ts'
import { startService, testConfig } from '../helpers/service.ts'

function collect(options: Partial<LogOptions> = {}): { log: ServiceLog; lines: string[] } {
  const lines: string[] = []
  const log = openLog({
    level: 'info',
    format: 'json',
    color: false,
    to: { write: (line) => lines.push(line) },
    redact: (line) => line,
    ...options,
  })
  return { log, lines }
}

test('an event is one line of JSON with a level, a time, its name and a text', () => {
  const { log, lines } = collect()
  log.info('save.done', { message: 'Session saved to disk (reason: auto-save)', seq: 3 })
  log.error('request.failed', { code: 'internal', stack: 'a\nb' })
  log.debug('request.done', {})
  expect(lines).toHaveLength(2)
  for (const line of lines) expect(line.indexOf('\n')).toBe(line.length - 1)
  const [saved, failed] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(saved).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    event: 'save.done',
    seq: 3,
    msg: 'Session saved to disk (reason: auto-save)',
  })
  expect(failed).toMatchObject({ level: 'error', event: 'request.failed', msg: 'request.failed' })
})

test('the level changes while it runs', () => {
  const { log, lines } = collect({ level: 'error' })
  log.info('a')
  log.setLevel('debug')
  log.debug('b')
  log.setLevel('silent')
  log.error('c')
  expect(lines.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual(['b'])
})

test('secrets are masked wherever they stand, whatever logs them', async () => {
  const { token } = await createToken(join(await tempDir(), 't.json'), { name: 'a', right: 'read' })
  const { values } = await testConfig({
    kubo_token: 'basic:me:pass"word',
    kubo_url: 'http://user:hidden@node:5001',
    alert_webhook: 'https://hooks.example/services/T000/B111/secretpath',
  })
  for (const format of ['json', 'pretty'] as const) {
    const { log, lines } = collect({ format, redact: redactor(values) })
    log.error('x', {
      message: `cannot reach ${values.kubo_url} and ${values.alert_webhook}`,
      authorization: `Bearer ${token}`,
      header: 'Basic bWU6cGFzc3dvcmQ=',
      nested: { deep: [token, values.kubo_token] },
      stack: `Error: ${values.alert_webhook}\n at ${token}`,
    })
    const text = lines.join('')
    for (const secret of [
      token,
      token.slice(6),
      'pass',
      'hidden',
      'secretpath',
      'bWU6cGFzc3dvcmQ=',
    ])
      expect([format, text.includes(secret), secret]).toEqual([format, false, secret])
    expect(text).toContain('***')
  }
})

test('pretty lines are for people, and move no cursor', () => {
  const line = JSON.stringify({
    level: 'info',
    time: '2026-01-02T15:32:45.123Z',
    event: 'save.done',
    seq: 3,
    reason: 'a b\u001B[2J\nfake line',
    msg: 'Session saved\u001B[31m to disk\r\n2026 error fake',
  })
  const pretty = prettyLine(line, false)
  expect(pretty).toBe(
    '15:32:45 info  Session saved\\u001b[31m to disk\\r\\n2026 error fake' +
      '  event=save.done seq=3 reason="a b\\u001b[2J\\nfake line"\n',
  )
  expect(prettyLine(line, true)).toContain('\u001B[32minfo')
  expect(prettyLine('no json\n', false)).toBe('no json\n')
})

test("a log file is its owner's, is appended to, and is opened anew after it was rotated", async () => {
  const dir = await tempDir()
  const file = join(dir, 'logs', 'cairn.log')
  await mkdir(join(dir, 'logs'))
  const { log } = collect({ to: { file } })
  log.info('one')
  await rename(file, `${file}.1`)
  log.info('two')
  log.reopen()
  log.info('three')
  log.close()
  const events = async (path: string): Promise<string[]> =>
    (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event)
  expect(await events(`${file}.1`)).toEqual(['one', 'two'])
  expect(await events(file)).toEqual(['three'])
  const again = collect({ to: { file } }).log
  again.info('four')
  again.close()
  expect(await events(file)).toEqual(['three', 'four'])
})

test('a log file that cannot be written is told of at the start', async () => {
  const dir = await tempDir()
  expect(() => collect({ to: { file: dir } })).toThrow(/cannot be written/)
})

test('no token is in any line or answer, however it was sent', async () => {
  const path = join(await tempDir(), 'tokens.json')
  const { token } = await createToken(path, { name: 'app', right: 'read' })
  const { request, lines } = await startService({
    values: { tokens_file: path, log_level: 'debug' },
  })
  const answers = [
    await request('GET', '/metrics', undefined, { authorization: `Bearer ${token}` }),
    await request('GET', `/metrics?token=${token}`, undefined, {
      authorization: `Bearer ${token}`,
    }),
    await request('GET', `/${token}`),
    await request('GET', '/metrics', undefined, { authorization: `Basic ${token}` }),
    await request('GET', '/livez', undefined, { 'x-request-id': 'id', cookie: token }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([200, 400, 404, 401, 200])
  expect(JSON.stringify(lines)).not.toContain(token)
  for (const { text } of answers) expect(text).not.toContain(token)
})

/** The examples for Prometheus and Grafana, judged by the real Prometheus that watches a real service. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram } from '../../src/cli/program.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { SILENT } from '../../src/engine/logger.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { runJob } from '../../src/service/dataset-tasks.ts'
import { Metrics } from '../../src/service/metrics/metrics.ts'
import { startService, type Started } from '../../src/service/run/start.ts'
import { promtool, startPrometheus, type Prometheus } from '../helpers/prometheus.ts'
import { SCRIPTS } from './kit.ts'

const EXAMPLES = join(SCRIPTS, 'examples')
const example = (name: string): Promise<string> => readFile(join(EXAMPLES, name), 'utf8')
const rules = await example('prometheus/alerts.yml')
const ruleTests = await example('prometheus/alerts.test.yml')

let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-prometheus-'))
})

afterAll(() => rm(dir, { recursive: true, force: true }))

const alerts = [...rules.matchAll(/^ +- alert: (\w+)$/gm)].map(([, name = '']) => name)

test('promtool takes the rules, and their tests pass', async () => {
  expect(alerts.length).toBeGreaterThan(15)
  const checked = await promtool('check', 'rules', join(EXAMPLES, 'prometheus/alerts.yml'))
  expect(checked).toMatchObject({
    code: 0,
    output: expect.stringContaining(`${alerts.length} rules`),
  })
  const tested = await promtool('test', 'rules', join(EXAMPLES, 'prometheus/alerts.test.yml'))
  expect(tested, tested.output).toMatchObject({ code: 0 })
})

test('each alert is tested with its cause, just before its time, and while all is well', () => {
  const [, healthy = '', ...others] = ruleTests.split(/^ {2}- name: /m)
  expect(healthy).toMatch(/^all is well\n/)
  for (const alert of alerts) {
    expect(healthy).toContain(`alertname: ${alert} }`)
    const own = others.filter((one) => new RegExp(`^'?${alert}\\b`).test(one))
    expect([alert, own.length]).toEqual([alert, 1])
    expect(own[0]).toContain(`alertname: ${alert} }`)
    expect(own[0]).toMatch(new RegExp(`alertname: ${alert}\\n +exp_alerts:\\n +- exp_labels`))
  }
})

test.each([
  ['never fires', 'vector(0) > 1'],
  ['always fires', 'vector(1)'],
])('the tests of the rules see each rule that %s', async (_, expr) => {
  const folder = await mkdtemp(join(dir, 'broken-'))
  const broken = rules.replaceAll(/( expr:)(?: >-\n +[^\n]*\n)? [^\n]*/g, `$1 ${expr}`)
  await writeFile(join(folder, 'alerts.yml'), broken)
  await writeFile(join(folder, 'alerts.test.yml'), ruleTests)
  const { code, output } = await promtool('test', 'rules', join(folder, 'alerts.test.yml'))
  expect(code).toBe(1)
  expect(alerts.filter((alert) => !output.includes(`alertname: ${alert},`))).toEqual([])
})

test('what an alert says to type is there', async () => {
  const actions = [...rules.matchAll(/^ +action: '(.*)'$/gm)].map(([, text = '']) => text)
  expect(actions).toHaveLength(alerts.length)
  const commands = actions.flatMap((text) =>
    [
      ...text
        .replaceAll(/\{\{.*?\}\}/g, 'main')
        .matchAll(/\bcairn ([a-z][a-z-]*(?: -\S+| main)*)/g),
    ].map(([, words = '']) => words.replace(/[.;]$/, '').split(' ')),
  )
  expect(commands.length).toBeGreaterThan(8)
  for (const words of commands) {
    const program = buildProgram(() => Promise.resolve())
    await expect(
      program.parseAsync(words, { from: 'user' }),
      words.join(' '),
    ).resolves.toBeDefined()
  }
})

interface Target {
  readonly expr: string
}

interface Panel {
  readonly id: number
  readonly title: string
  readonly type: string
  readonly targets?: readonly Target[]
  readonly gridPos: {
    readonly x: number
    readonly y: number
    readonly w: number
    readonly h: number
  }
}

const dashboard = JSON.parse(await example('grafana/cairn.json')) as {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string }[] }
}

test('the panels have their own places and numbers, and only the variables that are there', () => {
  const { panels, templating } = dashboard
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  const taken = new Map<string, string>()
  for (const { title, gridPos } of panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect([title, x < 24, taken.get(`${x} ${y}`)]).toEqual([title, true, undefined])
        taken.set(`${x} ${y}`, title)
      }
    }
  }
  const known = new Set([...templating.list.map(({ name }) => name), '__rate_interval'])
  const used = [...JSON.stringify(panels).matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name)
  expect(used.filter((name) => !known.has(name))).toEqual([])
})

test('panels and alerts know only metrics that there are, and the panels show all of them', () => {
  const all = new Metrics({ version: '0' }).registry.getMetricsAsArray().map(({ name }) => name)
  const named = (text: string): Set<string> =>
    new Set(
      [...text.matchAll(/\b(cairn|process|nodejs)_[a-z0-9_]+/g)].map(([name]) =>
        all.includes(name) ? name : name.replace(/_(bucket|sum|count)$/, ''),
      ),
    )
  const exprs = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  const shown = named(exprs.join('\n'))
  const alerted = named(
    [...rules.matchAll(/expr: (.*(?:\n +[/s(].*)?)/g)].map(([, e]) => e).join('\n'),
  )
  expect([...shown, ...alerted].filter((name) => !all.includes(name))).toEqual([])
  expect(all.filter((name) => name.startsWith('cairn_') && !shown.has(name))).toEqual([])
})

let service: Started
let prometheus: Prometheus
let token: string

/** The example as it stands, but for the places, and in a hurry. */
async function exampleConfig(target: string): Promise<string> {
  await writeFile(join(dir, 'token'), token, { mode: 0o600 })
  await writeFile(join(dir, 'alerts.yml'), rules)
  const text = (await example('prometheus/prometheus.yml'))
    .replaceAll(': 15s', ': 500ms')
    .replace('127.0.0.1:3000', target)
    .replace(
      'credentials_file: /etc/prometheus/cairn-token',
      `credentials_file: ${join(dir, 'token')}`,
    )
  const path = join(dir, 'prometheus.yml')
  await writeFile(path, text)
  return path
}

/** All that a service does, so that there is something to show. */
async function work(round: number): Promise<void> {
  const { service: inner, url } = service
  const dataset = await inner.dataset('main')
  await Promise.all(Array.from({ length: 20 }, (_, i) => dataset.put(`e${i}`, { round, i })))
  await dataset.list()
  const headers = { authorization: `Bearer ${token}` }
  for (const probe of ['livez', 'healthz?verbose', 'nothing'])
    await (await fetch(`${url}/${probe}`, { headers })).text()
  await inner.jobs.wait((await inner.automation.save('main', 'test')).id)
  const { job } = runJob(inner, 'main', 'export', {}, 'manual')
  const exported = await inner.jobs.wait(job.id)
  const files = [String(exported.result?.['path'])]
  const restored = runJob(inner, 'main', 'restore', { files, as: `copy${round}` }, 'manual')
  expect(await inner.jobs.wait(restored.job.id)).toMatchObject({ state: 'succeeded' })
  await inner.health.check('main')
}

const scrapes = async (): Promise<number> => {
  const { result } = (await prometheus.api('query', {
    query: 'count_over_time(up{job="cairn"}[1h])',
  })) as Vector
  return Number(result[0]?.value[1] ?? 0)
}

interface Vector {
  readonly result: readonly { readonly value: readonly [number, string] }[]
}

test('a real Prometheus with the example config reads a real service, and every panel has data', async () => {
  const data = join(dir, 'data')
  token = (await createToken(join(dir, 'tokens.json'), { name: 'all', right: 'admin' })).token
  const config = await resolveConfig({
    flags: {
      data_dir: data,
      store: `lmdb:${join(data, 'store')}`,
      port: '0',
      tokens_file: join(dir, 'tokens.json'),
    },
    env: {},
    cwd: dir,
  })
  service = await startService({ config, log: SILENT })
  try {
    const path = await exampleConfig(new URL(service.url).host)
    expect(await promtool('check', 'config', path)).toMatchObject({ code: 0 })
    prometheus = await startPrometheus(path, dir)
    for (const round of [1, 2]) {
      await expect.poll(scrapes, { timeout: 20_000 }).toBeGreaterThan(round * 2)
      await work(round)
    }
    const before = await scrapes()
    await expect.poll(scrapes, { timeout: 20_000 }).toBeGreaterThan(before + 1)

    expect(await emptyPanels()).toEqual([])
    const { groups } = (await prometheus.api('rules')) as Groups
    const judged = groups.flatMap((group) => group.rules)
    expect(judged.map(({ name }) => name).sort()).toEqual([...alerts].sort())
    expect(judged.filter(({ health }) => health !== 'ok')).toEqual([])
    expect(judged.filter(({ state }) => state === 'firing')).toEqual([])
  } finally {
    await prometheus?.stop()
    await service.stop('test')
  }
}, 60_000)

interface Groups {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly name: string
      readonly health: string
      readonly state: string
    }[]
  }[]
}

/** Targets without a number at this moment, as Grafana would ask for them. */
async function emptyPanels(): Promise<string[]> {
  const empty: string[] = []
  for (const { title, targets = [] } of dashboard.panels) {
    for (const { expr } of targets) {
      const query = expr
        .replaceAll(/\$(?:instance|dataset)/g, '.*')
        .replaceAll('$__rate_interval', '1m')
      const { result } = (await prometheus.api('query', { query })) as Vector
      const numbers = result.filter(({ value }) => Number.isFinite(Number(value[1])))
      if (numbers.length === 0) empty.push(`${title}: ${query}`)
    }
  }
  return empty
}

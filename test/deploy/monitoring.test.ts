/** What Compose mounts for Prometheus and Grafana: taken by promtool, at one with each other and with the examples. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { promtool } from '../helpers/prometheus.ts'
import { readProject, ROOT, type ComposeService, type Project } from './compose-tool.ts'

let dir: string
let project: Project['project']

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-monitoring-'))
  const file = join(ROOT, 'docker-compose.yml')
  const env = { COMPOSE_DISABLE_ENV_FILE: '1' }
  ;({ project } = await readProject(file, ['monitoring'], env))
})

afterAll(() => rm(dir, { recursive: true, force: true }))

const service = (name: string): ComposeService => project.services[name] as ComposeService

/** The text of what lies at a path within a container. */
async function mounted(name: string, path: string): Promise<string> {
  const found = service(name).volumes?.find(({ target }) => target === path)
  if (found === undefined) throw new Error(`nothing is mounted at ${path} of ${name}`)
  return readFile(found.source, 'utf8')
}

interface PrometheusConfig {
  readonly rule_files: readonly string[]
  readonly scrape_configs: readonly {
    readonly job_name: string
    readonly authorization?: { readonly credentials_file: string }
    readonly static_configs: readonly { readonly targets: readonly string[] }[]
  }[]
}

test('promtool takes the config with the rules beside it', async () => {
  const text = await mounted('prometheus', '/etc/prometheus/prometheus.yml')
  await writeFile(
    join(dir, 'alerts.yml'),
    await mounted('prometheus', '/etc/prometheus/alerts.yml'),
  )
  await writeFile(join(dir, 'token'), 'cairn_x')
  const path = join(dir, 'prometheus.yml')
  await writeFile(path, text.replace('/scrape/prometheus.token', join(dir, 'token')))
  const checked = await promtool('check', 'config', path)
  expect(checked, checked.output).toMatchObject({ code: 0 })
  await writeFile(path, text.replace('job_name', 'job_nome'))
  expect(await promtool('check', 'config', path)).toMatchObject({ code: 1 })
})

test('it asks the service, with the token that is made for it, under the name that the alerts ask for', async () => {
  const text = await mounted('prometheus', '/etc/prometheus/prometheus.yml')
  const { scrape_configs: scrapes, rule_files: rules } = parse(text) as PrometheusConfig
  expect(scrapes).toHaveLength(1)
  const [first] = scrapes
  const { job_name: job, authorization, static_configs: statics } = first ?? {}
  expect([job, rules]).toEqual(['cairn', ['alerts.yml']])
  const port = service('cairn').environment?.['CAIRN_PORT']
  expect(statics).toEqual([{ targets: [`cairn:${port}`] }])
  const token = service('scrape-token').command?.[1]
  expect(authorization?.credentials_file).toBe(token)
  for (const name of ['scrape-token', 'prometheus'])
    expect(service(name).volumes).toContainEqual(
      expect.objectContaining({ source: 'scrape', target: '/scrape' }),
    )
  const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8')
  const [, group = ''] = /^USER \d+:(\d+)$/m.exec(dockerfile) ?? []
  expect(service('prometheus').group_add).toEqual([group])
})

interface Provisioning {
  readonly apiVersion: number
  readonly datasources?: readonly { readonly type: string; readonly url: string }[]
  readonly providers?: readonly { readonly type: string; readonly options: { path: string } }[]
}

test('Grafana is given the Prometheus beside it, and the dashboard as its home', async () => {
  const sources = parse(
    await mounted('grafana', '/etc/grafana/provisioning/datasources/cairn.yml'),
  ) as Provisioning
  expect(sources).toMatchObject({
    apiVersion: 1,
    datasources: [{ type: 'prometheus', url: 'http://prometheus:9090', isDefault: true }],
  })
  const boards = parse(
    await mounted('grafana', '/etc/grafana/provisioning/dashboards/cairn.yml'),
  ) as Provisioning
  const [provider] = boards.providers ?? []
  const home = String(service('grafana').environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'])
  expect(provider?.type).toBe('file')
  expect(home.startsWith(`${provider?.options.path}/`)).toBe(true)
  const board = JSON.parse(await mounted('grafana', home)) as {
    readonly templating: {
      readonly list: readonly { name: string; type: string; query: unknown }[]
    }
  }
  // Chosen by its type, so that it finds the one that is provisioned.
  expect(board.templating.list).toContainEqual(
    expect.objectContaining({ name: 'datasource', type: 'datasource', query: 'prometheus' }),
  )
})

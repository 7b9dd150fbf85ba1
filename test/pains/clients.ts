/** What clients of the service do and see, over HTTP alone, for tests of what they rely on. */
import type { ReadEvent } from '../helpers/event-stream.ts'
import { request } from '../helpers/service.ts'
import { until, type Served } from '../helpers/served.ts'
import type { Sandbox } from '../cli/sandbox.ts'

/** Only the interval saves by itself. */
const ONLY_INTERVAL = { save_rules: 'never', build_schedule: 'never', max_lag: '0' }

export async function writeConfig(
  sandbox: Sandbox,
  name: string,
  saveInterval: number,
): Promise<string> {
  const settings = { ...ONLY_INTERVAL, save_interval: saveInterval }
  return sandbox.write(name, JSON.stringify(settings))
}

export const place = ({ url }: Served): string => `${url}/v1/datasets/main`

export async function get<T = Record<string, unknown>>(url: string): Promise<T> {
  const { status, json, text } = await request(url, 'GET')
  if (status !== 200) throw new Error(`${status} of ${url}: ${text}`)
  return json as T
}

export interface Written {
  readonly pi: string
  readonly ver: number
  readonly tip: string
  readonly position: number
}

export async function put(served: Served, pi: string, value: unknown): Promise<Written> {
  const { status, json, text } = await request(`${place(served)}/entities/${pi}`, 'PUT', { value })
  if (status !== 201) throw new Error(`${status}: ${text}`)
  return json as Written
}

/** All that a client sees of the entities: each with its version and its content. */
export async function everything(served: Served): Promise<unknown[]> {
  const page = await get<{ items: { pi: string }[] }>(`${place(served)}/entities?limit=1000`)
  return Promise.all(
    page.items.map(async (item) => [
      item,
      await get(`${place(served)}/entities/${item.pi}/content`),
    ]),
  )
}

export const saidBy = ({ lines }: Served): string[] => lines().map(({ msg }) => msg)

export const untilSaid = (served: Served, words: string): Promise<void> =>
  until(() => saidBy(served).includes(words))

export const positionsOf = (events: readonly ReadEvent[]): number[] =>
  events.map(({ data }) => (data as Written).position)

export const upTo = (count: number, from = 0): number[] =>
  Array.from({ length: count - from }, (_, i) => i + from)

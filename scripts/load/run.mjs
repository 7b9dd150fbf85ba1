/** What is done to a service, and what is measured of it. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { buildOnce, must } from './builds.mjs'
import { openConnection } from './connection.mjs'
import { entityId, tipText } from './data.mjs'

const CLIENT = fileURLToPath(new URL('client.mjs', import.meta.url))
const FILL_AT_ONCE = 10_000

export const placeOf = (dataset) => `/v1/datasets/${dataset}`

/** A task of clients, in a process of their own; `onTold` is called when they tell what `tellAt` asks for. */
export async function runClients(task, onTold = () => {}) {
  const child = fork(CLIENT)
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`The clients ended with ${code}.`)
  })
  child.send(task)
  const answered = new Promise((resolve) => {
    child.on('message', (message) => (message === 'told' ? onTold() : resolve(message)))
  })
  const result = await Promise.race([answered, ended])
  await ended.catch(() => {})
  return result
}

/** A dataset of so many entities, in a snapshot. */
export async function fill(url, dataset, entities, settings = {}) {
  const place = placeOf(dataset)
  const { request, close } = await openConnection(url)
  await must(request('PUT', place, JSON.stringify({ content: 'external', ...settings })))
  for (let from = 0; from < entities; from += FILL_AT_ONCE) {
    const count = Math.min(FILL_AT_ONCE, entities - from)
    const entries = Array.from({ length: count }, (_, i) => ({
      pi: entityId(from + i),
      tip: tipText(from + i),
    }))
    await must(request('POST', `${place}/entries`, JSON.stringify({ entries })))
  }
  close()
  await build(url, place)
}

export async function build(url, place) {
  const { request, close } = await openConnection(url)
  await buildOnce(request, place)
  close()
}

/** Every entry of the log from a position on. */
export async function readLog(url, place, since, use) {
  const { request, close } = await openConnection(url)
  for (let from = since; ;) {
    const { items, next } = await must(
      request('GET', `${place}/entries?since=${from}&limit=${FILL_AT_ONCE}`),
    )
    if (items.length === 0) break
    for (const item of items) use(item)
    from = next
  }
  close()
}

/** Every entity. */
export async function readEntities(url, place, use) {
  const { request, close } = await openConnection(url)
  for (let cursor = ''; cursor !== null;) {
    const from = cursor === '' ? '' : `&cursor=${cursor}`
    const page = await must(request('GET', `${place}/entities?limit=${FILL_AT_ONCE}${from}`))
    for (const item of page.items) use(item)
    cursor = page.next_cursor
  }
  close()
}

/** The process of the clients: does the one task that it is sent, and answers what came of it. */
import { once } from 'node:events'
import { buildOnce } from './builds.mjs'
import { openConnection } from './connection.mjs'
import { entityId, tipText } from './data.mjs'
import { latencies } from './latencies.mjs'

/**
 * Every client writes the next version of some entity, or of `batch` of them, again and again. With
 * `buildAt` a snapshot is built whenever so many entries are new, and how long requests took that met a
 * build is told for itself. With `tellAt` all that was acknowledged is kept, and who sent the task is told when
 * it is so many entries.
 */
async function append({ place, entities, batch = 1, tellAt, buildAt, ...task }) {
  const kept = tellAt === undefined ? undefined : keeper(tellAt)
  const builder = buildAt === undefined ? undefined : await startBuilder(task.url, place, buildAt)
  let tips = 0
  const one = async ({ request }) => {
    const ids = batch === 1 ? [some(entities)] : neighbours(batch, entities)
    const { json } = await write(request, place, ids, tipText(tips++))
    builder?.note(batch)
    kept?.add(batch === 1 ? [json()] : json().entries)
    return batch
  }
  const done = await clients(task, one, builder?.met)
  return { ...done, acks: kept?.acks, builds: await builder?.stop() }
}

async function write(request, place, ids, tip) {
  const answer = await (ids.length === 1
    ? request('PUT', `${place}/entities/${ids[0]}`, `{"tip":"${tip}"}`)
    : request(
        'POST',
        `${place}/entries`,
        JSON.stringify({ entries: ids.map((pi) => ({ pi, tip })) }),
      ))
  if (answer.status > 201) throw new Error(`${answer.status}: ${JSON.stringify(answer.json())}`)
  return answer
}

function keeper(tellAt) {
  const acks = []
  let told = false
  const add = (entries) => {
    for (const { position, pi, ver, tip } of entries) acks.push([position, pi, ver, tip])
    if (told || acks.length < tellAt) return
    told = true
    process.send('told')
  }
  return { acks, add }
}

/** Every client reads pages that begin anywhere. */
function pages({ place, entities, limit, ...task }) {
  return clients(task, async ({ request }) => {
    const offset = Math.floor(Math.random() * (entities - limit))
    const { status, json } = await request(
      'GET',
      `${place}/entities?limit=${limit}&offset=${offset}`,
    )
    if (status !== 200) throw new Error(`${status}: ${JSON.stringify(json())}`)
    return limit
  })
}

const some = (entities) => entityId(Math.floor(Math.random() * entities))

/** A batch has no entity twice. */
function neighbours(count, entities) {
  const first = Math.floor(Math.random() * (entities - count))
  return Array.from({ length: count }, (_, i) => entityId(first + i))
}

async function startBuilder(url, place, buildAt) {
  const { request, close } = await openConnection(url)
  let [waiting, begun, ended] = [0, 0, 0]
  let building
  const begin = () => {
    waiting = 0
    begun += 1
    building = buildOnce(request, place).then(() => {
      ended += 1
      if (waiting >= buildAt) begin()
    })
  }
  return {
    note: (entries) => {
      waiting += entries
      if (waiting >= buildAt && begun === ended) begin()
    },
    /** To be called when a request begins; what it gives tells, when the request has ended, whether it met a build. */
    met: () => {
      const before = ended
      return () => begun > before
    },
    stop: async () => {
      buildAt = Infinity
      await building
      close()
      return ended
    },
  }
}

/**
 * So many clients, each on a connection of its own, each waiting for its answer before it asks again, until
 * the time is over or its connection is cut. With `perSecond` they keep to that rate together: who is late
 * has waited from when it should have asked. Of requests that met nothing only the number is told.
 */
async function clients({ url, clients: count, ms, perSecond }, ask, meeting = () => () => true) {
  const connections = await Promise.all(Array.from({ length: count }, () => openConnection(url)))
  const took = latencies()
  const sum = { requests: 0, entries: 0, cut: 0 }
  const began = performance.now()
  const gap = perSecond === undefined ? 0 : (1000 * count) / perSecond
  await Promise.all(
    connections.map(async (connection, i) => {
      for (let due = began + (gap * i) / count; ; due += gap) {
        const from = gap === 0 ? performance.now() : await until(due)
        if (from - began >= ms) return
        const met = meeting()
        let entries
        try {
          entries = await ask(connection)
        } catch (error) {
          if (!isCut(error)) throw error
          sum.cut += 1
          return
        }
        if (met()) took.add(performance.now() - from)
        sum.requests += 1
        sum.entries += entries
      }
    }),
  )
  const seconds = (performance.now() - began) / 1000
  for (const { close } of connections) close()
  return { ...sum, seconds, ...took.summary() }
}

async function until(due) {
  const wait = due - performance.now()
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
  return due
}

const isCut = ({ message, code }) =>
  message === 'The connection was cut.' || code === 'ECONNRESET' || code === 'EPIPE'

const TASKS = { append, pages }

const [task] = await once(process, 'message')
process.send(await TASKS[task.name](task), () => process.disconnect())

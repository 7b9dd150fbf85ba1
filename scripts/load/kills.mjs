/** SIGKILL under load: whatever was acknowledged is there afterwards, in the log and in the entities. */
import { placeOf, readEntities, readLog, runClients } from './run.mjs'

/** Clients that are not cut off end by themselves, some time. */
const LATEST_MS = 300_000

/**
 * Kills the service when single appends of `clients`, half of whom write batches meanwhile, were acknowledged
 * `afterAcks` times, and starts it again by `restart`. Returns the new one and what came of it.
 */
export async function killUnderLoad({
  server,
  restart,
  dataset,
  clients,
  afterAcks,
  batch,
  ...rest
}) {
  const place = placeOf(dataset)
  const { url } = server
  const ms = LATEST_MS
  const half = { ...rest, name: 'append', url, place, ms, clients: Math.ceil(clients / 2) }
  const killing = []
  // Clients that come to a service that was killed already would find nobody.
  let areAtWork = () => {}
  const atWork = new Promise((resolve) => (areAtWork = resolve))
  const many = runClients({ ...half, batch, tellAt: 1 }, areAtWork)
  await Promise.race([atWork, many])
  const single = runClients({ ...half, tellAt: afterAcks }, () => killing.push(server.kill()))
  const done = await Promise.all([single, many])
  if (killing.length === 0) throw new Error('The clients ended before the service was killed.')
  await Promise.all(killing)
  const acks = done.flatMap((one) => one.acks)
  const began = performance.now()
  const again = await restart()
  const restartMs = performance.now() - began
  const missing = await missingOf(again.url, place, acks)
  const cut = done.reduce((sum, one) => sum + one.cut, 0)
  return { server: again, acknowledged: acks.length, missing, cut, restartMs }
}

/** Of `acks` (position, id, version, tip) those that are not there; a later version stands for earlier ones. */
async function missingOf(url, place, acks) {
  const wanted = new Map(acks.map((ack) => [ack[0], ack]))
  const since = acks.reduce((least, [position]) => Math.min(least, position), Infinity)
  if (acks.length === 0) return 0
  await readLog(url, place, since, ({ position, pi, ver, tip }) => {
    const [, id, version, written] = wanted.get(position) ?? []
    if (id === pi && version === ver && written === tip) wanted.delete(position)
  })
  const versions = new Map()
  await readEntities(url, place, ({ pi, ver }) => versions.set(pi, ver))
  const lost = acks.filter(([, pi, ver]) => !((versions.get(pi) ?? 0) >= ver))
  return wanted.size + lost.length
}

/** What `cairn doctor` and the metrics learn of a node. */
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { collectionIn } from '../../src/backend/kubo/running.ts'
import { nodeOfTests } from '../helpers/kubo-holds.ts'
import { askNode } from '../helpers/kubo-node.ts'

const node = nodeOfTests()

/** An import of which no more comes, until it is broken off. */
function stalledImport(url: string): () => void {
  const sending = request(`${url}/api/v0/dag/import?pin-roots=true`, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=part' },
  })
  sending.on('error', () => {})
  sending.write('--part\r\nContent-Disposition: form-data; name="file"; filename="car"\r\n\r\n')
  return () => void sending.destroy()
}

async function runs(command: string): Promise<void> {
  for (;;) {
    const all: unknown = JSON.parse(await askNode(node.url, 'diag/cmds'))
    const isIt = (one: { Active: boolean; Command: string }): boolean =>
      one.Active && one.Command === command
    if (Array.isArray(all) && all.some(isIt)) return
    await sleep(10)
  }
}

test('a collection that waits for an import that has stopped is told of, and of what to do', async () => {
  const backend = await node.open()
  const breakOff = stalledImport(node.url)
  node.onEnd(async () => breakOff())
  await runs('dag/import')
  expect((await backend.status()).details).toMatchObject({ collecting: false })

  const collected = askNode(node.url, 'repo/gc', { quiet: 'true' })
  await runs('repo/gc')
  const waiting = await backend.status()
  expect(waiting.details).toMatchObject({ collecting: true })
  expect(waiting.notes.join('\n')).toMatch(
    /collects garbage.*waits for an import that began \d+ s ago: .*let it go on or end it/,
  )

  breakOff()
  await collected
  const after = await backend.status()
  expect(after.details).toMatchObject({ collecting: false })
  expect(after.notes.join('\n')).not.toMatch(/garbage/)
})

test('an import that waits for a collection is not its cause', async () => {
  const gc = { command: 'repo/gc', ageMs: 2_000 }
  expect(collectionIn([gc, { command: 'dag/import', ageMs: 1_000 }])).toEqual({
    behindImportMs: undefined,
  })
  expect(collectionIn([{ command: 'dag/import', ageMs: 3_000 }, gc])).toEqual({
    behindImportMs: 3_000,
  })
  expect(collectionIn([{ command: 'dag/import', ageMs: 3_000 }])).toBeUndefined()
})

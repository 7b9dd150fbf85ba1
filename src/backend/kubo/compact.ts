/** Running the node's garbage collection. It names every block that it removes; only the end counts. */
import type { CallOptions, CompactedSizes } from '../../store/backend.ts'
import { jsonOf, knownNumber } from './answers.ts'
import type { KuboClient } from './client.ts'

/** The node marks everything that is pinned before it says a word. */
const SILENCE_MS = 6 * 60 * 60 * 1000

export async function collectGarbage(
  client: KuboClient,
  options?: CallOptions,
): Promise<CompactedSizes> {
  const before = await repoSize(client, options)
  const removed = client.stream('repo/gc', { quiet: true }, { ...options, idleMs: SILENCE_MS })
  for await (const _names of removed);
  return { before, after: await repoSize(client, options) }
}

async function repoSize(client: KuboClient, options?: CallOptions): Promise<number | undefined> {
  const answer = jsonOf('repo/stat', await client.read('repo/stat', { 'size-only': true }, options))
  const known = typeof answer === 'object' && answer !== null && 'RepoSize' in answer
  return known ? knownNumber(answer.RepoSize) : undefined
}

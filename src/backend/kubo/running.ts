/** What a node is busy with, as it tells itself. */
import type { CallOptions } from '../../store/backend.ts'
import { at, jsonOf } from './answers.ts'
import type { KuboClient } from './client.ts'

export interface RunningCommand {
  readonly command: string
  /** By the node's clock. */
  readonly ageMs: number
}

/** The longest running first; undefined where the node tells of none, not even of this question. */
export async function runningCommands(
  client: KuboClient,
  options?: CallOptions,
): Promise<readonly RunningCommand[] | undefined> {
  const answer = jsonOf('diag/cmds', await client.read('diag/cmds', {}, options))
  if (!Array.isArray(answer)) return undefined
  const active = answer.filter((one) => at(one, 'Active') === true)
  const began = active.map((one) => Date.parse(String(at(one, 'StartTime'))) || 0)
  // This question is the newest of all, but for what came beside it.
  const now = Math.max(...began)
  return active
    .map((one, i) => ({ command: String(at(one, 'Command')), ageMs: now - (began[i] ?? now) }))
    .toSorted((one, other) => other.ageMs - one.ageMs)
}

export interface Collection {
  /**
   * For how long an import has run that the collection waits for: one that came first holds the node's
   * pin lock to its end, and whatever writes waits behind the collection.
   */
  readonly behindImportMs: number | undefined
}

export function collectionIn(running: readonly RunningCommand[]): Collection | undefined {
  const collection = running.find(({ command }) => command === 'repo/gc')
  if (collection === undefined) return undefined
  const first = running.find(({ command }) => command === 'dag/import' || command === 'add')
  const isBehind = first !== undefined && first.ageMs > collection.ageMs
  return { behindImportMs: isBehind ? first.ageMs : undefined }
}

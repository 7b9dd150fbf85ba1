/**
 * Blocks ahead of their commit. They are gathered up to 16 MiB, copied because they are the caller's
 * again when `put` returns, and go in one import with one intent a batch.
 */
import { CairnError } from '../../errors.ts'
import type { CallOptions, HeldBlock, Staging } from '../../store/backend.ts'
import type { KuboClient } from './client.ts'
import { importHeld, pinsNeeded } from './import.ts'
import type { Intents } from './intents.ts'
import { createQueue } from './queue.ts'

const BATCH_BYTES = 16 * 1024 * 1024

export function createStaging(
  client: KuboClient,
  intents: Intents,
  dataset: string,
  label: string,
): Staging {
  const inTurn = createQueue()
  const written: string[] = []
  let batch: HeldBlock[] = []
  let size = 0
  let ended = false

  const send = async (options?: CallOptions): Promise<void> => {
    if (batch.length === 0) return
    // On an error the batch stays, and the next flush sends it again.
    const needed = await pinsNeeded(client, batch, options)
    const spec = { dataset, purpose: label, blocks: batch, needed }
    const intent = await importHeld(client, intents, spec, options)
    if (intent !== undefined) written.push(intent)
    batch = []
    size = 0
  }
  const open = (): void => {
    if (ended) throw new CairnError('closed', `The staging "${label}" has ended.`)
  }

  return {
    put: (blocks, options) =>
      inTurn(async () => {
        open()
        for (const { cid, bytes, hold } of blocks) {
          batch.push({ cid: cid.slice(), bytes: bytes.slice(), hold })
          size += bytes.length
          if (size >= BATCH_BYTES) await send(options)
        }
      }, options?.signal),
    flush: (options) =>
      inTurn(() => {
        open()
        return send(options)
      }, options?.signal),
    end: (outcome) =>
      inTurn(() => {
        ended = true
        batch = []
        // Dropped: the files stay, for they are how a prune finds what is held for nothing.
        if (outcome === 'committed') intents.remove(written.splice(0))
        return Promise.resolve()
      }),
  }
}

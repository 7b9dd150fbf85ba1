/**
 * Blocks ahead of their commit. They are gathered up to 16 MiB, copied because they are the caller's
 * again when `put` returns, and go in one import a batch; those that are held only until the staging
 * ends go before the others, which may link to them, in one of their own.
 */
import { CairnError } from '../../errors.ts'
import type { HeldBlock, CallOptions, Staging } from '../../store/backend.ts'
import type { Importer, LetGo } from './import.ts'
import { createQueue } from './queue.ts'
import type { Tidy } from './tidy.ts'

const BATCH_BYTES = 16 * 1024 * 1024

export function createStaging(
  importer: Importer,
  tidy: Tidy,
  dataset: string,
  label: string,
): Staging {
  const inTurn = createQueue()
  const intents: string[] = []
  const forNow: LetGo[] = []
  let staged: HeldBlock[] = []
  let held: HeldBlock[] = []
  let size = 0
  let ended = false

  // On an error what was not sent stays, and the next flush sends it.
  const send = async (options?: CallOptions): Promise<void> => {
    const spec = { dataset, purpose: label }
    if (staged.length > 0) {
      forNow.push(await importer.putForNow({ ...spec, blocks: staged }, options))
      staged = []
    }
    if (held.length > 0) {
      const needed = await importer.pinsNeeded(held, options)
      const intent = await importer.put({ ...spec, blocks: held }, needed, options)
      if (intent !== undefined) intents.push(intent)
      held = []
    }
    size = 0
  }
  const open = (): void => {
    if (ended) throw new CairnError('closed', `The staging "${label}" has ended.`)
  }

  return {
    put: (blocks, options) =>
      inTurn(async () => {
        open()
        for (const block of blocks) {
          if (block.hold === 'staged') staged.push(block)
          else held.push(block)
          size += block.bytes.length
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
        staged = []
        held = []
        for (const letGo of forNow.splice(0)) letGo()
        // Dropped: they stay, for they are how a prune finds what is held for nothing.
        if (outcome === 'committed') tidy.later({ pins: [], intents: intents.splice(0) })
        return Promise.resolve()
      }),
  }
}

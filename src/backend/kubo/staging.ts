/**
 * Blocks ahead of their commit. They are gathered up to 16 MiB, copied because they are the caller's
 * again when `put` returns, and go in one import a batch, in the order in which they came; those that
 * are held only until the staging ends go before the others, which may link to them, in one of their
 * own.
 *
 * A block that is put `under` counts as linked to by the first `deep` block after it, goes in the same
 * import as that one, and needs no hold of its own. Where a batch ends between the two it is held like
 * a `staged` one.
 */
import { CairnError } from '../../errors.ts'
import type { CallOptions, HeldBlock, Staging } from '../../store/backend.ts'
import type { Importer, LetGo } from './import.ts'
import type { Intent } from './intents.ts'
import type { KuboLease } from './leases.ts'
import { createQueue } from './queue.ts'
import type { Tidy } from './tidy.ts'

const BATCH_BYTES = 16 * 1024 * 1024
/** Each block that is held has its line in an intent and its question to the node. */
const BATCH_HELD = 4_000

export interface StagingTools {
  readonly importer: Importer
  readonly tidy: Tidy
  readonly lease: KuboLease
}

export function createStaging(
  { importer, tidy, lease }: StagingTools,
  dataset: string,
  label: string,
): Staging {
  const inTurn = createQueue()
  const intents: Intent[] = []
  const forNow: LetGo[] = []
  const spec = { dataset, purpose: label, staging: lease.name }
  let staged: HeldBlock[] = []
  let linked: HeldBlock[] = []
  let size = 0
  let held = 0
  let ended = false

  // On an error what was not sent stays, and the next flush sends it.
  const send = async (options?: CallOptions): Promise<void> => {
    const lastDeep = linked.findLastIndex(({ hold }) => hold === 'deep')
    const early = linked.filter(({ hold }, at) => hold === 'under' && at > lastDeep)
    if (staged.length + early.length > 0) {
      const blocks = [...staged, ...early]
      forNow.push(await importer.putForNow({ ...spec, blocks }, options))
      staged = []
      const gone = new Set(early)
      linked = linked.filter((block) => !gone.has(block))
    }
    if (linked.length > 0) {
      const needed = await importer.pinsNeeded(linked, options)
      const intent = await importer.put({ ...spec, blocks: linked }, needed, options)
      if (intent !== undefined) intents.push(intent)
      linked = []
    }
    size = 0
    held = 0
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
          else linked.push(block)
          size += block.bytes.length
          if (block.hold === 'deep' || block.hold === 'self') held++
          if (size >= BATCH_BYTES || held >= BATCH_HELD) await send(options)
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
        linked = []
        lease.stop()
        for (const letGo of forNow.splice(0)) letGo()
        // Dropped: they stay, and so does the lease until it is void: a commit that names them may yet
        // take effect. Then they are how a sweep finds what is held for nothing.
        if (outcome === 'committed') {
          tidy.later({ pins: [], intents: intents.splice(0), lease: lease.path })
        }
        return Promise.resolve()
      }),
  }
}

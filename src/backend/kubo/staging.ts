/**
 * Blocks ahead of their commit. They are gathered up to 16 MiB and go in one import a batch, in the order
 * in which they came, while the next batch is gathered; those that are held only until the staging ends
 * go before the others, which may link to them, in one of their own.
 *
 * A block that is put `under` counts as linked to by the first `deep` block after it, goes in the same
 * import as that one, and needs no hold of its own: it waits for the next batch, or where it is too much
 * for that is held like a `staged` one.
 */
import { CairnError } from '../../errors.ts'
import type { CallOptions, HeldBlock, Staging } from '../../store/backend.ts'
import type { KuboClient } from './client.ts'
import type { Importer, LetGo } from './import.ts'
import type { Intent } from './intents.ts'
import type { KuboLease } from './leases.ts'
import { createQueue } from './queue.ts'
import type { Tidy } from './tidy.ts'
import { allThere, lookBefore } from './whole.ts'

const BATCH_BYTES = 16 * 1024 * 1024
/** The first is smaller, so that the node has something to do soon. */
const FIRST_BATCH_BYTES = 4 * 1024 * 1024
/** Each block that is held has its line in an intent and its question to the node. */
const BATCH_HELD = 4_000
/** From so many on they get one pin for all. */
const BUNDLED_FROM = 8

export interface StagingTools {
  readonly client: KuboClient
  readonly importer: Importer
  readonly tidy: Tidy
  readonly lease: KuboLease
  /** Whether a commit was ever asked for that names the blocks. */
  readonly isNamed: () => boolean
}

interface Batch {
  readonly staged: HeldBlock[]
  /** Those that link, and what they link to, in the order in which they came. */
  readonly linked: HeldBlock[]
}

const noBatch = (): Batch => ({ staged: [], linked: [] })

/** Where the blocks begin that no deep block follows. */
const afterLastDeep = (blocks: readonly HeldBlock[]): number =>
  blocks.findLastIndex(({ hold }) => hold === 'deep') + 1

export function createStaging(
  { client, importer, tidy, lease, isNamed }: StagingTools,
  dataset: string,
  label: string,
): Staging {
  const inTurn = createQueue()
  const intents: Intent[] = []
  const bundled: Intent[] = []
  const forNow: LetGo[] = []
  const spec = { dataset, purpose: label, staging: lease.name }
  let waiting = noBatch()
  let size = 0
  let held = 0
  let enough = FIRST_BATCH_BYTES
  let ended = false
  /** The import under way, while the next batch is gathered. It never rejects; `failed` tells. */
  let sending: Promise<void> | undefined
  let failed: { readonly error: unknown } | undefined

  const send = async ({ staged, linked }: Batch, options?: CallOptions): Promise<void> => {
    const early = linked.slice(afterLastDeep(linked)).filter(({ hold }) => hold === 'under')
    if (staged.length + early.length > 0)
      forNow.push(await importer.putForNow({ ...spec, blocks: [...staged, ...early] }, options))
    const gone = new Set(early)
    const blocks = linked.filter((block) => !gone.has(block))
    if (blocks.length === 0) return
    const toHold = blocks.filter(({ hold }) => hold !== 'under')
    // Beside what is sent: a look that comes late takes more to have been there, which is then read.
    const looking = lookBefore(client, toHold, options)
    looking.catch(() => {})
    if (toHold.length >= BUNDLED_FROM) {
      bundled.push(await importer.putBundled({ ...spec, blocks }, toHold, options))
    } else {
      const needed = await importer.pinsNeeded(blocks, options)
      const intent = await importer.put({ ...spec, blocks }, needed, options)
      if (intent !== undefined) intents.push(intent)
      await allThere(client, toHold, options)
    }
    const makeWhole = await looking
    await makeWhole(options)
  }
  /** Waits for the import under way. What failed is sent again with what comes next. */
  const settled = async (): Promise<void> => {
    await sending
    const failure = failed
    failed = undefined
    if (failure !== undefined) throw failure.error
  }
  const start = (batch: Batch, options?: CallOptions): void => {
    sending = send(batch, options).catch((error: unknown) => {
      failed = { error }
      waiting = {
        staged: [...batch.staged, ...waiting.staged],
        linked: [...batch.linked, ...waiting.linked],
      }
    })
  }
  /** Sends what is complete. What waits for its deep block goes with the next batch, if it is not much. */
  const startBatch = async (options?: CallOptions): Promise<void> => {
    await settled()
    const at = afterLastDeep(waiting.linked)
    const rest = waiting.linked.slice(at)
    const restSize = rest.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const splits = at > 0 && restSize < BATCH_BYTES / 2
    const batch = splits ? { ...waiting, linked: waiting.linked.slice(0, at) } : waiting
    waiting = splits ? { staged: [], linked: rest } : noBatch()
    size = splits ? restSize : 0
    held = 0
    enough = BATCH_BYTES
    start(batch, options)
  }
  const open = (): void => {
    if (ended) throw new CairnError('closed', `The staging "${label}" has ended.`)
  }

  return {
    put: (blocks, options) =>
      inTurn(async () => {
        open()
        for (const block of blocks) {
          if (block.hold === 'staged') waiting.staged.push(block)
          else waiting.linked.push(block)
          size += block.bytes.length
          if (block.hold === 'deep' || block.hold === 'self') held++
          if (size >= enough || held >= BATCH_HELD) await startBatch(options)
        }
      }, options?.signal),
    flush: (options) =>
      inTurn(async () => {
        open()
        await settled()
        const batch = waiting
        waiting = noBatch()
        size = 0
        held = 0
        start(batch, options)
        await settled()
      }, options?.signal),
    end: (outcome) =>
      inTurn(async () => {
        ended = true
        await sending
        waiting = noBatch()
        lease.stop()
        for (const letGo of forNow.splice(0)) letGo()
        // Dropped: they stay, and so does the lease until it is void: a commit that names them may yet
        // take effect. Then they are how a sweep finds what is held for nothing. A bundle that no commit
        // can name is nobody else's.
        const gathered = bundled.splice(0)
        const bundles = gathered.flatMap(({ pins }) => pins)
        if (outcome === 'committed') {
          tidy.later({ intents: [...intents, ...gathered], bundles, lease: lease.path })
        } else if (!isNamed()) {
          tidy.later({ pins: bundles, intents: gathered })
        }
      }),
  }
}

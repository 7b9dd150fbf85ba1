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
import type { Calls } from './calls.ts'
import type { KuboClient } from './client.ts'
import type { Importer, ImportSpec, LetGo } from './import.ts'
import type { Intent } from './intents.ts'
import type { KuboLease } from './leases.ts'
import { createQueue } from './queue.ts'
import type { Tidy } from './tidy.ts'
import { lookBefore } from './whole.ts'

const BATCH_BYTES = 16 * 1024 * 1024
/** The first is smaller, so that the node has something to do soon. */
const FIRST_BATCH_BYTES = 4 * 1024 * 1024
/** Each block that is held has its link in a bundle and its question to the node. */
const BATCH_HELD = 4_000

export interface StagingTools {
  readonly client: KuboClient
  readonly calls: Calls
  readonly importer: Importer
  readonly tidy: Tidy
  readonly lease: KuboLease
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

export class KuboStaging implements Staging {
  readonly #tools: StagingTools
  readonly #dataset: string
  readonly #label: string
  readonly #inTurn = createQueue()
  readonly #bundled: Intent[] = []
  readonly #forNow: LetGo[] = []
  #waiting = noBatch()
  #size = 0
  #held = 0
  #enough = FIRST_BATCH_BYTES
  #ended = false
  #isNamed = false
  /** The import under way, while the next batch is gathered. It never rejects; `#failed` tells. */
  #sending: Promise<void> | undefined
  #failed: { readonly error: unknown } | undefined

  constructor(tools: StagingTools, dataset: string, label: string) {
    this.#tools = tools
    this.#dataset = dataset
    this.#label = label
  }

  /** Whether it still holds what was put. */
  sound(): boolean {
    return !this.#ended && this.#tools.lease.sound()
  }

  /** A commit is asked for that names the blocks; whatever becomes of it. */
  name(): void {
    this.#isNamed = true
  }

  put(blocks: readonly HeldBlock[], options?: CallOptions): Promise<void> {
    return this.#turn(options, async (own) => {
      for (const block of blocks) {
        const { hold, bytes } = block
        if (hold === 'staged') this.#waiting.staged.push(block)
        else this.#waiting.linked.push(block)
        this.#size += bytes.length
        if (hold === 'deep' || hold === 'self') this.#held++
        if (this.#size >= this.#enough || this.#held >= BATCH_HELD) await this.#startBatch(own)
      }
    })
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#turn(options, async (own) => {
      await this.#settled()
      const batch = this.#waiting
      this.#waiting = noBatch()
      this.#size = 0
      this.#held = 0
      this.#start(batch, own)
      await this.#settled()
    })
  }

  end(outcome: 'committed' | 'dropped'): Promise<void> {
    this.#ended = true
    return this.#inTurn(async () => {
      await this.#sending
      this.#waiting = noBatch()
      const { lease, tidy } = this.#tools
      lease.stop()
      for (const letGo of this.#forNow.splice(0)) letGo()
      // Dropped: they stay, and so does the lease until it is void: a commit that names them may yet
      // take effect. Then they are how a sweep finds what is held for nothing. A bundle that no commit
      // can name is nobody else's.
      const gathered = this.#bundled.splice(0)
      const bundles = gathered.flatMap(({ pins }) => pins)
      if (outcome === 'committed') {
        tidy.later({ intents: gathered, bundles, lease: lease.paths })
      } else if (!this.#isNamed) {
        tidy.later({ pins: bundles, intents: gathered })
      }
    })
  }

  /** One call at a time, in the order in which they came. */
  #turn(
    options: CallOptions | undefined,
    work: (own: CallOptions | undefined) => Promise<void>,
  ): Promise<void> {
    return this.#tools.calls.change(options, (own) => {
      if (this.#ended) throw new CairnError('closed', `The staging "${this.#label}" has ended.`)
      return this.#inTurn(() => work(own), own?.signal)
    })
  }

  /** Sends what is complete. What waits for its deep block goes with the next batch, if it is not much. */
  async #startBatch(options?: CallOptions): Promise<void> {
    await this.#settled()
    const waiting = this.#waiting
    const at = afterLastDeep(waiting.linked)
    const rest = waiting.linked.slice(at)
    const restSize = rest.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const splits = at > 0 && restSize < BATCH_BYTES / 2
    const batch = splits ? { ...waiting, linked: waiting.linked.slice(0, at) } : waiting
    this.#waiting = splits ? { staged: [], linked: rest } : noBatch()
    this.#size = splits ? restSize : 0
    this.#held = 0
    this.#enough = BATCH_BYTES
    this.#start(batch, options)
  }

  #start(batch: Batch, options?: CallOptions): void {
    this.#sending = this.#send(batch, options).catch((error: unknown) => {
      this.#failed = { error }
      this.#waiting = {
        staged: [...batch.staged, ...this.#waiting.staged],
        linked: [...batch.linked, ...this.#waiting.linked],
      }
    })
  }

  /** Waits for the import under way. What failed is sent again with what comes next. */
  async #settled(): Promise<void> {
    await this.#sending
    const failure = this.#failed
    this.#failed = undefined
    if (failure !== undefined) throw failure.error
  }

  async #send({ staged, linked }: Batch, options?: CallOptions): Promise<void> {
    const early = linked.slice(afterLastDeep(linked)).filter(({ hold }) => hold === 'under')
    if (staged.length + early.length > 0) {
      const { importer } = this.#tools
      const letGo = await importer.putForNow(this.#specOf([...staged, ...early]), options)
      this.#forNow.push(letGo)
    }
    const gone = new Set(early)
    const blocks = linked.filter((block) => !gone.has(block))
    if (blocks.length > 0) await this.#sendHeld(blocks, options)
  }

  /** Those that are to be held, and what lies under them. */
  async #sendHeld(blocks: readonly HeldBlock[], options?: CallOptions): Promise<void> {
    const { client, importer } = this.#tools
    const toHold = blocks.filter(({ hold }) => hold !== 'under')
    // Beside what is sent: a look that comes late takes more to have been there, which is then read.
    const looking = lookBefore(client, toHold, options)
    looking.catch(() => {})
    this.#bundled.push(await importer.putBundled(this.#specOf(blocks), toHold, options))
    const makeWhole = await looking
    await makeWhole(options)
  }

  #specOf(blocks: readonly HeldBlock[]): ImportSpec {
    const { lease } = this.#tools
    return { dataset: this.#dataset, purpose: this.#label, staging: lease.name, blocks }
  }
}

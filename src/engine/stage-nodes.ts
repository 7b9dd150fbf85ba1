/**
 * The way of new tree nodes into the store: staged in batches while the merge runs, then read back and
 * proved. Only what came back whole from the store may be committed.
 */
import { cborCidOf, printCid, bytesEqual, type CidBytes } from '../model/cid.ts'
import { CairnError, throwIfAborted } from '../errors.ts'
import type { HeldBlock, Staging } from '../store/backend.ts'
import { missingBlock } from '../store/proved.ts'
import type { CutNode } from '../tree/chunker.ts'
import type { NodeSink } from '../tree/merge.ts'
import type { Context } from './context.ts'

const BATCH_BYTES = 2 << 20
/** At most 1 MiB each; so many that a node always has some to answer. */
const READ_BACK = 32
/** After so much, who waits gets a turn: a merge in memory never waits by itself. A leaf has as much. */
const TURN_BYTES = 256 << 10
/** A request takes as many turns: it is read, joins a commit, hears of it, and is answered. */
const TURNS = 4

export class NodeStager implements NodeSink {
  readonly #context: Pick<Context, 'backend' | 'timers'>
  readonly #staging: Staging
  readonly #signal: AbortSignal | undefined
  readonly #mend: ReadonlySet<string>
  readonly written: CidBytes[] = []
  bytes = 0
  #batch: HeldBlock[] = []
  #batchBytes = 0
  #turnBytes = 0

  /** `mend`: the CIDs of blocks that the store has with other bytes. */
  constructor(
    context: Pick<Context, 'backend' | 'timers'>,
    staging: Staging,
    signal?: AbortSignal,
    mend: ReadonlySet<string> = new Set(),
  ) {
    this.#context = context
    this.#staging = staging
    this.#signal = signal
    this.#mend = mend
  }

  async put({ child, block, level }: CutNode): Promise<void> {
    if (this.#mend.size > 0 && this.#mend.has(printCid(child.cid))) {
      const { backend } = this.#context
      await backend.heal([{ cid: child.cid, bytes: block }], { signal: this.#signal })
    }
    this.written.push(child.cid)
    this.bytes += block.length
    // A leaf is held with the content of its entries; a branch alone, its children hold themselves.
    this.#batch.push({ cid: child.cid, bytes: block, hold: level === 0 ? 'deep' : 'self' })
    this.#batchBytes += block.length
    if (this.#batchBytes >= BATCH_BYTES) await this.#send()
    this.#turnBytes += block.length
    if (this.#turnBytes < TURN_BYTES) return
    this.#turnBytes = 0
    await stepAside(this.#context)
  }

  async #send(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    await this.#staging.put(batch, { signal: this.#signal })
  }

  async finish(): Promise<void> {
    await this.#send()
    await this.#staging.flush({ signal: this.#signal })
  }
}

/**
 * Reads blocks that were just written and hashes them: a store that lies is found out before the commit.
 * One that has proved them itself is not asked again.
 */
export async function readBack(
  { backend, timers }: Pick<Context, 'backend' | 'timers'>,
  cids: readonly CidBytes[],
  signal: AbortSignal | undefined,
  onBlock: (done: number) => void,
): Promise<void> {
  if (backend.provesBlocks === true) return
  for (let from = 0; from < cids.length; from += READ_BACK) {
    throwIfAborted(signal)
    const batch = cids.slice(from, from + READ_BACK)
    const blocks = await backend.getBlocks(batch, { signal })
    let proved = 0
    for (const [i, cid] of batch.entries()) {
      proveBack(cid, blocks[i])
      proved += blocks[i]?.length ?? 0
      if (proved < TURN_BYTES) continue
      proved = 0
      await stepAside({ timers })
    }
    onBlock(Math.min(from + READ_BACK, cids.length))
  }
}

async function stepAside({ timers }: Pick<Context, 'timers'>): Promise<void> {
  for (let i = 0; i < TURNS; i++) await timers.turn()
}

function proveBack(cid: CidBytes, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) throw missingBlock(cid, 'a block that was just written,')
  if (bytesEqual(cborCidOf(bytes), cid)) return
  throw new CairnError(
    'block_mismatch',
    `The store gave back other bytes for ${printCid(cid)} than were written.`,
    {
      hint: 'Nothing was committed. Check the disk and the memory of the machine that holds the store.',
      cid: printCid(cid),
    },
  )
}

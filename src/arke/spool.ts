/** The true states on their way to the store, in the order of ids, in a file as long as it takes. */
import type { CidBytes } from '../model/cid.ts'
import { idOfKey } from '../model/entity-id.ts'
import { ExternalSort } from '../util/external-sort.ts'
import type { TipContent } from './content.ts'
import type { Truth } from './truth.ts'

export interface Spooled {
  readonly key: string
  readonly pi: string
  readonly ver: number
  readonly ts: number
  readonly whole: boolean
  /** As the old system had it, and as a linked dataset takes it. */
  readonly oldTip: CidBytes
  readonly linkedTip: CidBytes
}

const HEAD = 1 + 8 + 8 + 1

export class Spool {
  readonly #sort: ExternalSort
  count = 0

  constructor(tempDir?: string) {
    this.#sort = new ExternalSort({ tempDir, memoryBytes: 8 << 20 })
  }

  async add({ key, ver, tip }: Truth, ts: number, content: TipContent): Promise<void> {
    this.count += 1
    const bytes = Buffer.allocUnsafe(HEAD + tip.length + content.tip.length)
    bytes[0] = content.whole ? 1 : 0
    bytes.writeDoubleLE(ver, 1)
    bytes.writeDoubleLE(ts, 9)
    bytes[HEAD - 1] = tip.length
    bytes.set(tip, HEAD)
    bytes.set(content.tip, HEAD + tip.length)
    await this.#sort.add({ key, payload: bytes })
  }

  /** Call it once. */
  async *all(): AsyncGenerator<Spooled> {
    for await (const batch of this.#sort.sorted()) {
      for (const { key, payload } of batch) {
        const end = HEAD + (payload[HEAD - 1] ?? 0)
        yield {
          key,
          pi: idOfKey(key),
          ver: payload.readDoubleLE(1),
          ts: payload.readDoubleLE(9),
          whole: payload[0] === 1,
          oldTip: new Uint8Array(payload.subarray(HEAD, end)),
          linkedTip: new Uint8Array(payload.subarray(end)),
        }
      }
    }
  }

  dispose(): Promise<void> {
    return this.#sort.dispose()
  }
}

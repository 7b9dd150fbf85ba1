import type { Dataset } from '../../engine/dataset.ts'
import { bytesEqual, type CidBytes } from '../../model/cid.ts'
import { keyOf } from '../../model/entity-id.ts'
import type { Entry } from '../../model/entry.ts'
import type { Change } from '../../index.ts'
import { printChanges } from '../command/diff.ts'
import type { CommandSpec } from '../command.ts'
import { addCarOptions, withCarDataset } from './open.ts'

export const diff: CommandSpec = {
  examples: [
    ['cairn car diff monday.car tuesday.car', 'what changed'],
    ['cairn car diff full.car delta.car --base full.car --json', 'as NDJSON, with the entries'],
  ],
  define: (command) => {
    command.argument('<a>', 'a CAR').argument('<b>', 'another')
    addCarOptions(command)
  },
  run: (context) => {
    const [a, b] = context.args
    const { output, signal } = context
    return withCarDataset(context, a, (before) =>
      withCarDataset(context, b, (after) => printChanges(output, changes(before, after, signal))),
    )
  },
}

/** Both sides read in the order of ids, side by side, each as it was at its own moment. */
async function* changes(
  before: Dataset,
  after: Dataset,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const a = new Side(before, signal)
  const b = new Side(after, signal)
  await a.step()
  await b.step()
  while (a.entry !== undefined || b.entry !== undefined) {
    const order = a.key < b.key ? -1 : a.key > b.key ? 1 : 0
    const old = order <= 0 ? a.entry : undefined
    const fresh = order >= 0 ? b.entry : undefined
    if (old === undefined || fresh === undefined || !sameEntry(old, fresh)) {
      yield { pi: (old ?? fresh)?.pi ?? '', before: old, after: fresh }
    }
    if (order <= 0) await a.step()
    if (order >= 0) await b.step()
  }
}

/** Behind every key. */
const END = '\uFFFF'

class Side {
  readonly #entries: AsyncIterator<Entry>
  entry: Entry | undefined
  key = ''

  constructor(dataset: Dataset, signal: AbortSignal) {
    const options = { order: 'asc', deleted: true, at: { commit: 0 }, signal } as const
    this.#entries = dataset.entries(options)[Symbol.asyncIterator]()
  }

  async step(): Promise<void> {
    const next = await this.#entries.next()
    this.entry = next.done === true ? undefined : next.value
    this.key = this.entry === undefined ? END : keyOf(this.entry.pi)
  }
}

function sameEntry(a: Entry, b: Entry): boolean {
  return a.ver === b.ver && a.ts === b.ts && a.exp === b.exp && sameTip(a.tip, b.tip)
}

function sameTip(a: CidBytes | null, b: CidBytes | null): boolean {
  return a === null || b === null ? a === b : bytesEqual(a, b)
}

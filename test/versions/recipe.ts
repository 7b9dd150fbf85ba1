/**
 * What the fixtures of fixtures/versions are made of: the same steps, clock and random bytes every time,
 * so that whatever differs between two of them is the format.
 */
import { createHash } from 'node:crypto'
import { encodeJson } from '../../src/content/encode.ts'
import { Cairn } from '../../src/cairn.ts'
import { printCid } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'

const START = 1_700_000_000_000
const DAY = 86_400_000
const ENTITIES = 150

/** When the fixtures were written, and when their readers look. */
export const WRITTEN: number = START + 5 * DAY
export const READ: number = START + 6 * DAY

export interface Change {
  readonly pi: string
  /** Null deletes. */
  readonly value: { readonly n: number; readonly of: string } | null
  readonly exp: number | null
}

interface Step {
  readonly at: number
  readonly changes: readonly Change[]
  /** The tag of the snapshot that is built after it. */
  readonly tag?: string
}

const idOf = (n: number): string => `E${String(n).padStart(3, '0')}`
const change = (pi: string, n: number, of: string, exp: number | null = null): Change => ({
  pi,
  value: { n, of },
  exp,
})
const deleted = (pi: string): Change => ({ pi, value: null, exp: null })
const numbers = Array.from({ length: ENTITIES }, (_, n) => n)

const STEPS: readonly Step[] = [
  {
    at: START,
    changes: [
      ...numbers.map((n) => change(idOf(n), n, 'first')),
      change('\u{1f600} é 日', 0, 'first'),
      change('soon gone', 0, 'first', START + 2 * DAY),
      change('late', 0, 'first', START + 4000 * DAY),
    ],
    tag: 'first',
  },
  {
    at: START + DAY,
    changes: [
      ...numbers.filter((n) => n % 5 === 0).map((n) => change(idOf(n), n, 'second')),
      ...numbers.filter((n) => n % 20 === 3).map((n) => deleted(idOf(n))),
    ],
  },
  { at: START + 3 * DAY, changes: [change('N', 1, 'third')], tag: 'second' },
  { at: START + 4 * DAY, changes: [change(idOf(1), 1, 'last'), change('N', 2, 'last')] },
  { at: START + 4 * DAY + 1000, changes: [deleted(idOf(2))] },
]

/** `id@version tip` of all that lives at `READ`, by a plain map. */
export function expectedEntities(): string[] {
  const newest = new Map<string, { ver: number; tip: string | null; exp: number | null }>()
  for (const { changes } of STEPS) {
    for (const { pi, value, exp } of changes) {
      const ver = (newest.get(pi)?.ver ?? 0) + 1
      newest.set(pi, { ver, tip: value && printCid(encodeJson(value).cid), exp })
    }
  }
  return [...newest]
    .filter(([, { tip, exp }]) => tip !== null && (exp === null || exp > READ))
    .map(([pi, { ver, tip }]) => `${pi}@${ver} ${tip}`)
    .toSorted()
}

/** Bytes that look random and are the same for the same seed. */
function steadyBytes(seed: string): (count: number) => Uint8Array {
  let n = 0
  return (count) => createHash('sha256').update(`${seed} ${n++}`).digest().subarray(0, count)
}

/** Opens a store at a moment, as the same process every time. */
export const openAt = (backend: Backend, moment: () => number, seed = 'a reader'): Cairn =>
  new Cairn(backend, { now: moment, randomBytes: steadyBytes(seed), cacheBytes: 1 << 20 })

/** `main` with linked content, two snapshots and a recent chain; `outside` with external content. */
export async function fillStore(backend: Backend): Promise<void> {
  let now = START
  const cairn = openAt(backend, () => now, 'the writer')
  const init = { chunkSize: 64, chainLimit: 1000, meta: { made: 'for a fixture' } }
  const { dataset: main } = await cairn.init('main', init)
  for (const { at, changes, tag } of STEPS) {
    now = at
    await main.appendBatch(
      changes.map(({ pi, value, exp }) => ({
        pi,
        ...(value === null ? { tip: null } : { value }),
        ...(exp === null ? {} : { exp }),
      })),
    )
    if (tag !== undefined) await main.build({ tags: [tag], reason: 'a fixture' })
  }
  const { dataset: outside } = await cairn.init('outside', { content: 'external' })
  for (const pi of ['x', 'y', 'z']) await outside.append({ pi, tip: encodeJson({ pi }).cid })
  await outside.build()
  await outside.append({ pi: 'y', tip: null })
}

/** Killing a prune, while others append and build. */
import { Cairn } from '../../src/cairn.ts'
import type { Backend } from '../../src/store/backend.ts'
import { freshBytes } from './fresh.ts'
import type { Ground } from './ground.ts'
import { compareAcks, compareWhole, readWhole, type Ack, type Whole } from './look.ts'
import { fill, type Amounts, type Model } from './material.ts'
import { verified, withBackend, type Operation } from './operation.ts'

const LAST = 3
const MOST_ABOVE_FRESH = 1.1

export function pruneOperation(amounts: Amounts): Operation<Model> {
  return {
    name: 'prune',
    first: 'sweep',
    append: { dataset: 'main', buildEvery: 15, pauseMs: 5 },
    fill: (backend) => fill(new Cairn(backend), backend, 'main', amounts),
    options: () => ({ last: LAST }),
    check: async (ground, model, acks) => {
      const { problems, whole } = await withBackend(ground, async (backend) => {
        const first = await stillThere(backend, model, acks, ground)
        const dataset = await new Cairn(backend).dataset('main')
        await dataset.prune({ policy: { last: LAST }, waitMs: 20_000 })
        const second = await stillThere(backend, model, acks, ground)
        return { problems: [...first.problems, ...second.problems], whole: second.whole }
      })
      const [live, fresh] = [await ground.liveBytes(), await freshBytes(whole)]
      if (live > fresh * MOST_ABOVE_FRESH)
        problems.push(`${live} bytes, a fresh store has ${fresh}`)
      if (ground.node === undefined) return problems
      // The node has collected its garbage: now what is missing is missing.
      const last = await withBackend(ground, (backend) => stillThere(backend, model, acks, ground))
      return [...problems, ...last.problems]
    },
    dispose: () => Promise.resolve(),
  }
}

async function stillThere(
  backend: Backend,
  model: Model,
  acks: readonly Ack[],
  ground: Ground,
): Promise<{ problems: string[]; whole: Whole }> {
  const whole = await readWhole(backend, 'main')
  const seqs = whole.snapshots.map(({ seq }) => seq)
  const gaps = seqs.filter((seq, i) => i > 0 && seq !== (seqs[i - 1] ?? 0) + 1)
  const problems = [
    ...compareWhole(whole, model, []),
    ...compareAcks(whole.current, acks),
    ...gaps.map((seq) => `the snapshot before ${seq} is no longer kept`),
    ...(await verified(backend, 'main', ground)),
  ]
  if (seqs.length < LAST) problems.push(`only ${seqs.length} snapshots are kept`)
  return { problems, whole }
}

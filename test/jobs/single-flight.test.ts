/** Whatever is asked for in whatever order: one job of a kind runs, one waits, and each ends once. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CairnError } from '../../src/errors.ts'
import { hasEnded, type Job } from '../../src/jobs/job.ts'
import { heldWork, openJobs, request, turns, type Work } from './helpers.ts'

const step = fc.oneof(
  fc.record({
    do: fc.constant('start' as const),
    dataset: fc.constantFrom('a', 'b'),
    kind: fc.constantFrom('build' as const, 'export' as const),
    follow: fc.boolean(),
    urgent: fc.boolean(),
  }),
  fc.record({
    do: fc.constantFrom('succeed' as const, 'fail' as const, 'cancel' as const),
    which: fc.nat(),
  }),
)

test('one of a kind runs and one waits, and every job ends once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { jobs } = openJobs()
      const works = new Map<string, Work>()
      const ends: string[] = []
      let inside = new Map<string, number>()
      jobs.onEnd(({ id }) => void ends.push(id))
      const check = (): void => {
        for (const dataset of ['a', 'b']) {
          for (const kind of ['build', 'export'] as const) {
            const open = jobs.list({ dataset, kind }).filter((job) => !hasEnded(job))
            expect(open.length).toBeLessThanOrEqual(2)
            expect(open.filter(({ state }) => state === 'running').length).toBeLessThanOrEqual(1)
          }
        }
        for (const running of inside.values()) expect(running).toBeLessThanOrEqual(1)
      }
      for (const one of steps) {
        if (one.do === 'start') {
          const held = heldWork()
          const key = `${one.dataset} ${one.kind}`
          const before = jobs.list({ dataset: one.dataset, kind: one.kind })
          const { job, joined } = jobs.start(
            request(
              async (run) => {
                inside = new Map(inside).set(key, (inside.get(key) ?? 0) + 1)
                try {
                  return await held.work(run)
                } finally {
                  inside.set(key, (inside.get(key) ?? 0) - 1)
                }
              },
              { ...one, reason: 'property' },
            ),
          )
          if (!joined) works.set(job.id, held)
          // A follower never joins what runs already.
          if (one.follow) expect(before.find(({ id }) => id === job.id)?.state).not.toBe('running')
        } else {
          const open = jobs.list().filter((job) => !hasEnded(job))
          const job: Job | undefined = open[one.which % Math.max(1, open.length)]
          const work = job && works.get(job.id)
          if (one.do === 'succeed') work?.succeed()
          else if (one.do === 'fail') work?.fail(new CairnError('no_space', 'Full.'))
          else if (job !== undefined) jobs.cancel(job.id)
        }
        if (one.do !== 'start') await turns(1)
        check()
      }
      for (const work of works.values()) work.succeed()
      await turns(8)
      for (const work of works.values()) work.succeed()
      await turns(8)
      const all = jobs.list()
      expect(all.every(hasEnded)).toBe(true)
      expect(ends.toSorted()).toEqual(all.map(({ id }) => id).toSorted())
    }),
    { numRuns: 150 },
  )
})

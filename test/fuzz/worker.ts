/**
 * The process in which inputs run, with little memory: what kills it is a finding. It does what its one
 * argument says, target by target, and tells its parent.
 */
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE, readInputs, startOf } from './corpus.ts'
import { Coverage } from './coverage.ts'
import type { Finding } from './bounds.ts'
import type { Job, Told } from './jobs.ts'

const job = JSON.parse(process.argv[2] ?? '') as Job
const SRC = new URL('../../src/', import.meta.url).href
const coverage = new Coverage((url) => url.startsWith(SRC))
// Behind the counters, so that they count all of it.
const { fuzz } = await import('./fuzz.ts')
const { smallestSet } = await import('./distil.ts')
const { tryInput } = await import('./bounds.ts')
const { targetsNamed } = await import('./targets.ts')

const tell = (told: Told): void => void process.send?.(told)
const hex = (input: Uint8Array): string => Buffer.from(input).toString('hex')
const onFinding = ({ input, ...finding }: Finding): void =>
  tell({ is: 'finding', ...finding, input: hex(input) })

/** What is about to run, as lines of hex: who dies leaves them. */
const blackBox = openSync(job.blackBox, 'w')
const onBatch = (inputs: readonly Uint8Array[]): void => {
  const text = `${inputs.map(hex).join('\n')}\n`
  writeSync(blackBox, `${String(text.length).padStart(12)}\n${text}`, 0)
  beat()
}
let lastBeat = 0
function beat(): void {
  if (performance.now() - lastBeat < 500) return
  lastBeat = performance.now()
  tell({ is: 'beat' })
}

// Without a parent nobody listens.
const orphaned = (): never => process.exit()
process.once('disconnect', orphaned)

for (const target of targetsNamed(job.targets.join(','))) {
  tell({ is: 'begin', target: target.name })
  const more = job.cache ? readInputs(join(CACHE, target.name)) : []
  if (job.task === 'fuzz') {
    const report = await fuzz(target, { ...job, coverage, more, onBatch, onFinding })
    tell({ is: 'report', ...report, fresh: report.fresh.map(hex) })
  } else if (job.task === 'distil') {
    const inputs = [...startOf(target), ...more]
    const kept = await smallestSet(target, inputs, coverage, beat)
    tell({
      is: 'report',
      target: target.name,
      runs: inputs.length,
      corpus: kept.length,
      findings: 0,
      fresh: kept.map(hex),
    })
  } else {
    const input = Uint8Array.from(Buffer.from(job.input ?? '', 'hex'))
    onBatch([input])
    const finding = await tryInput(target, input)
    if (finding !== undefined) onFinding(finding)
  }
}
process.off('disconnect', orphaned)
process.disconnect()

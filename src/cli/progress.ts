/** Progress of long operations: a bar on a terminal, a plain line now and then elsewhere. */
import type { Progress } from '../engine/context.ts'
import { formatCount } from './format.ts'
import type { Output } from './output.ts'

const BAR_EVERY_MS = 100
const LINE_EVERY_MS = 5000
const BAR_WIDTH = 24

export class ProgressReporter {
  readonly #output: Output
  readonly #enabled: boolean
  #step = ''
  #stepFrom = 0
  #stepBegan = 0
  #shownAt = performance.now()

  constructor(output: Output, enabled: boolean) {
    this.#output = output
    this.#enabled = enabled && !output.quiet
  }

  /** To be passed on as `onProgress`. */
  readonly update = (progress: Progress): void => {
    if (!this.#enabled) return
    const now = performance.now()
    if (progress.step !== this.#step) {
      this.#step = progress.step
      this.#stepFrom = progress.done
      this.#stepBegan = now
    }
    const terminal = this.#output.stderrIsTerminal
    if (now - this.#shownAt < (terminal ? BAR_EVERY_MS : LINE_EVERY_MS)) return
    this.#shownAt = now
    if (terminal) this.#output.transient(this.#text(progress, now, true))
    else this.#output.note(this.#text(progress, now, false))
  }

  #text({ step, done, total }: Progress, now: number, bar: boolean): string {
    const rate = ((done - this.#stepFrom) * 1000) / Math.max(1, now - this.#stepBegan)
    const speed = `${formatCount(Math.round(rate))}/s`
    if (total === undefined || total === 0) return `${step}: ${formatCount(done)}  ${speed}`
    const part = Math.min(1, done / total)
    const filled = Math.round(part * BAR_WIDTH)
    const picture = bar ? `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ` : ''
    const left = rate > 0 ? `  ETA ${Math.ceil((total - done) / rate)}s` : ''
    const percent = `${Math.floor(part * 100)}%`
    return `${step}: ${picture}${percent}  ${formatCount(done)}/${formatCount(total)}  ${speed}${left}`
  }

  end(): void {
    this.#output.transient('')
  }
}

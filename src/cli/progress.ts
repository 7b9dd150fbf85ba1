/**
 * Progress of long operations: on a terminal one line that is replaced, elsewhere a line now and then, with
 * --json an event. What took long ends with a line of what was done in how long.
 */
import type { Progress } from '../engine/context.ts'
import type { Output } from './output.ts'
import { doneLine, progressLine, type StepDone } from './progress-line.ts'
import { RateEstimator } from './progress-rate.ts'

const DRAW_EVERY_MS = 100
/** What goes on without telling anything is drawn again: the time goes on, too. */
const REDRAW_MS = 500
/** Elsewhere: a tenth of the time that has passed, but not outside of these. */
const LINE_LEAST_MS = 5000
const LINE_MOST_MS = 60_000
/** What is over sooner needs no last line. */
const LONG_MS = 2000

interface Step {
  readonly began: number
  readonly from: number
  readonly estimator: RateEstimator
  progress: Progress
  heard: number
}

type Shown = Pick<
  Output,
  'quiet' | 'json' | 'stderrIsTerminal' | 'stderrColumns' | 'transient' | 'note'
>

export class ProgressReporter {
  readonly #output: Shown
  readonly #enabled: boolean
  readonly #now: () => number
  readonly #began: number
  readonly #over: StepDone[] = []
  #step: Step | undefined
  #drawnAt: number
  #told = false
  #timer: NodeJS.Timeout | undefined

  /** `now` is in milliseconds, and never goes back. */
  constructor(output: Shown, enabled: boolean, now: () => number = () => performance.now()) {
    this.#output = output
    this.#enabled = enabled && !output.quiet
    this.#now = now
    this.#began = now()
    this.#drawnAt = this.#began
  }

  /** To be passed on as `onProgress`. */
  readonly update = (progress: Progress): void => {
    if (!this.#enabled) return
    const now = this.#now()
    const step = this.#stepOf(progress, now)
    step.progress = progress
    step.heard = now
    step.estimator.add(now, progress.done)
    this.#timer ??= setInterval(() => this.#draw(REDRAW_MS), REDRAW_MS).unref()
    this.#draw(DRAW_EVERY_MS)
  }

  /** A step of the same name that begins again is another one. */
  #stepOf({ step: name, done }: Progress, now: number): Step {
    const step = this.#step
    if (step?.progress.step === name && done >= step.progress.done) return step
    this.#endStep()
    const progress: Progress = { step: name, done }
    const estimator = new RateEstimator(now, done)
    this.#step = { began: now, from: 0, estimator, progress, heard: now }
    return this.#step
  }

  #endStep(): void {
    if (this.#step === undefined) return
    const { began, from, progress, heard } = this.#step
    const { step, unit } = progress
    const done = progress.done - from
    const ms = heard - began
    const at = this.#over.findIndex((one) => one.step === step)
    const before = this.#over[at]
    if (before === undefined) this.#over.push({ step, unit, done, ms })
    else this.#over[at] = { step, unit, done: before.done + done, ms: before.ms + ms }
    this.#step = undefined
  }

  #draw(terminalEvery: number): void {
    const now = this.#now()
    const lineEvery = Math.min(LINE_MOST_MS, Math.max(LINE_LEAST_MS, (now - this.#began) / 10))
    const every = this.#output.stderrIsTerminal ? terminalEvery : lineEvery
    if (this.#step === undefined || now - this.#drawnAt < every) return
    this.#drawnAt = now
    this.#told = true
    const { progress, estimator, began } = this.#step
    const { total } = progress
    const leftMs = total === undefined ? undefined : estimator.left(now, total)
    const pace = { rate: estimator.rate(now), leftMs, elapsedMs: now - began }
    const { stderrIsTerminal, stderrColumns, json } = this.#output
    // The last column stays free: some terminals wrap there.
    if (stderrIsTerminal)
      this.#output.transient(progressLine(progress, pace, Math.max(1, stderrColumns - 1)))
    else this.#output.note(json ? eventOf(progress, pace) : progressLine(progress, pace))
  }

  /** Before a question: nothing is drawn until there is news. */
  pause(): void {
    this.#endStep()
    this.#output.transient('')
  }

  /** It went well: what took long is summed up. */
  done(): void {
    this.end()
    const elapsedMs = this.#now() - this.#began
    if (!this.#told || elapsedMs < LONG_MS) return
    const { json, stderrIsTerminal } = this.#output
    if (json && !stderrIsTerminal) this.#output.note(doneEvent(this.#over, elapsedMs))
    else this.#output.note(doneLine(this.#over, elapsedMs))
  }

  end(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.pause()
  }
}

function eventOf({ step, done, total, unit }: Progress, pace: Parameters<typeof progressLine>[1]) {
  return JSON.stringify({
    progress: {
      step,
      done,
      total: total ?? null,
      unit: unit ?? 'count',
      per_second: pace.rate === undefined ? null : Math.round(pace.rate),
      left_ms: pace.leftMs === undefined ? null : Math.round(pace.leftMs),
      elapsed_ms: Math.round(pace.elapsedMs),
    },
  })
}

function doneEvent(steps: readonly StepDone[], elapsedMs: number): string {
  return JSON.stringify({
    progress_done: {
      elapsed_ms: Math.round(elapsedMs),
      steps: steps.map(({ step, unit, done, ms }) => ({
        step,
        done,
        unit: unit ?? 'count',
        ms: Math.round(ms),
      })),
    },
  })
}

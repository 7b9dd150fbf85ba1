/** The life of the screen: looks at fixed times, keys between them, and no end but by a key or a signal. */
import { CairnError, toCairnError, type ErrorCode } from '../../errors.ts'
import { NO_HISTORY, remember, type History } from './history.ts'
import type { Look, Source } from './look.ts'
import { renderTop, type TopState } from './render.ts'
import type { TopStyle } from './row.ts'
import type { Screen, ScreenEvents } from './screen.ts'

export interface LiveOptions {
  readonly source: Source
  readonly dataset: string
  readonly everyMs: number
  readonly style: Pick<TopStyle, 'utf8' | 'color'>
  readonly open: (events: ScreenEvents) => Screen
  readonly signal: AbortSignal
  readonly now: () => number
}

/** Ages go on between looks. */
const DRAW_MS = 1000
const QUIT = new Set(['q', 'Q', '\u0003', '\u0004'])
/** At the first look these will not pass by themselves. */
const FATAL: ReadonlySet<ErrorCode> = new Set([
  'unauthenticated',
  'access_denied',
  'dataset_not_found',
  'usage',
])

interface Seen {
  readonly look: Look | undefined
  readonly history: History
}

export async function runLive(options: LiveOptions): Promise<void> {
  const live = new Live(options)
  await live.run()
}

class Live {
  readonly #options: LiveOptions
  readonly #stop = new AbortController()
  readonly #seen = new Map<string, Seen>()
  #screen: Screen | undefined
  #dataset: string
  #trouble: TopState['trouble']
  #lastGood: number
  #paused = false
  /** While it is paused. */
  #heldAt: number | undefined
  #help = false
  #wake: () => void = () => {}

  constructor(options: LiveOptions) {
    this.#options = options
    this.#dataset = options.dataset
    this.#lastGood = options.now()
  }

  async run(): Promise<void> {
    const { open, signal } = this.#options
    const screen = open({ onKey: (key) => this.#onKey(key), onChange: () => this.#draw() })
    this.#screen = screen
    const onAbort = (): void => {
      screen.close()
      this.#end()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    const timer = setInterval(() => this.#draw(), DRAW_MS)
    try {
      this.#draw()
      await this.#lookOn()
    } finally {
      clearInterval(timer)
      signal.removeEventListener('abort', onAbort)
      screen.close()
    }
    if (signal.aborted)
      throw new CairnError('aborted', 'The operation was aborted.', { cause: signal.reason })
  }

  async #lookOn(): Promise<void> {
    const { everyMs, now } = this.#options
    while (!this.#stop.signal.aborted) {
      const began = now()
      if (!this.#paused) await this.#lookOnce()
      this.#draw()
      await this.#pause(Math.max(0, everyMs - (now() - began)))
    }
  }

  async #lookOnce(): Promise<void> {
    const { source, now } = this.#options
    const dataset = this.#dataset
    try {
      const look = await source.look(dataset, this.#stop.signal)
      const history = remember(this.#seen.get(dataset)?.history ?? NO_HISTORY, look)
      this.#seen.set(dataset, { look, history })
      this.#lastGood = now()
      if (dataset === this.#dataset) this.#trouble = undefined
    } catch (error) {
      if (this.#stop.signal.aborted) return
      const failure = toCairnError(error)
      if (this.#seen.size === 0 && FATAL.has(failure.code)) throw failure
      this.#trouble = { error: failure, since: this.#lastGood }
    }
  }

  /** Until the time is over, or something is to be looked at now. */
  #pause(ms: number): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #onKey(key: string): void {
    if (QUIT.has(key)) this.#end()
    else if (key === 'p' || key === ' ') this.#hold()
    else if (key === '?' || key === 'h') this.#help = !this.#help
    else if (key === 'd') void this.#nextDataset()
    else return
    this.#draw()
  }

  #hold(): void {
    this.#paused = !this.#paused
    this.#heldAt = this.#paused ? this.#options.now() : undefined
    this.#wake()
  }

  async #nextDataset(): Promise<void> {
    try {
      const names = await this.#options.source.datasets(this.#stop.signal)
      const at = names.indexOf(this.#dataset)
      this.#dataset = names[(at + 1) % names.length] ?? this.#dataset
      this.#paused = false
      this.#heldAt = undefined
    } catch (error) {
      this.#trouble = { error: toCairnError(error), since: this.#lastGood }
    }
    this.#wake()
    this.#draw()
  }

  #end(): void {
    this.#stop.abort()
    this.#wake()
  }

  #draw(): void {
    if (this.#stop.signal.aborted || this.#screen === undefined) return
    const { source, now, style } = this.#options
    const seen = this.#seen.get(this.#dataset)
    const state: TopState = {
      source: source.name,
      dataset: this.#dataset,
      now: this.#heldAt ?? now(),
      look: seen?.look,
      history: seen?.history ?? NO_HISTORY,
      trouble: this.#trouble,
      paused: this.#paused,
      help: this.#help,
    }
    this.#screen.draw(renderTop(state, { ...style, ...this.#screen.size() }))
  }
}

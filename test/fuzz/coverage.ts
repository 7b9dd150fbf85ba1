/**
 * Which code has run, by V8's own counters of blocks: a look takes about half a millisecond, so it is
 * done once for a batch of inputs. The counters must be on before the code is loaded.
 */
import { Session, type Profiler } from 'node:inspector'

/** A function: which of its characters have not run yet, and how many. */
interface Dark {
  readonly map: Uint8Array
  left: number
}

export class Coverage {
  readonly #session = new Session()
  readonly #isOurs: (url: string) => boolean
  readonly #dark = new Map<string, Dark>()
  readonly #ran = new Set<string>()
  /** Of the last `take`: by function the characters that ran for the first time. */
  #fresh = new Map<string, Set<number>>()

  constructor(isOurs: (url: string) => boolean) {
    this.#isOurs = isOurs
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Whether code ran since the last look that had never run before. */
  take(): boolean {
    this.#fresh = new Map()
    this.#look((key, ran) => {
      const dark = this.#dark.get(key) ?? {
        map: new Uint8Array(ran.length).fill(1),
        left: ran.length,
      }
      this.#dark.set(key, dark)
      if (dark.left === 0) return
      const fresh = new Set<number>()
      for (let i = 0; i < ran.length; i++) if (ran[i] === 1 && dark.map[i] === 1) fresh.add(i)
      for (const i of fresh) dark.map[i] = 0
      dark.left -= fresh.size
      if (fresh.size > 0) this.#fresh.set(key, fresh)
    })
    return this.#fresh.size > 0
  }

  /** Whether some of what the last `take` found ran again since the last look; then it is found no more. */
  meets(): boolean {
    let met = false
    this.#look((key, ran) => {
      const fresh = this.#fresh.get(key)
      for (const i of fresh ?? []) if (ran[i] === 1 && fresh?.delete(i) === true) met = true
    })
    return met
  }

  /** `URL NAME` of every function that has run. */
  get ran(): ReadonlySet<string> {
    return this.#ran
  }

  stop(): void {
    this.#session.post('Profiler.stopPreciseCoverage')
    this.#session.disconnect()
  }

  #look(visit: (key: string, ran: Uint8Array) => void): void {
    let scripts: readonly Profiler.ScriptCoverage[] = []
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error !== null) throw error
      scripts = answer.result
    })
    for (const { url, functions } of scripts) {
      if (!this.#isOurs(url)) continue
      for (const { functionName, ranges } of functions) {
        const [whole] = ranges
        if (whole === undefined || whole.count === 0) continue
        this.#ran.add(`${url} ${functionName}`)
        visit(`${url} ${whole.startOffset}`, painted(ranges, whole))
      }
    }
  }
}

/** Ranges come from the outside to the inside: the innermost one around a character counts. */
function painted(
  ranges: readonly Profiler.CoverageRange[],
  whole: Profiler.CoverageRange,
): Uint8Array {
  const from = whole.startOffset
  const ran = new Uint8Array(whole.endOffset - from)
  for (const { startOffset, endOffset, count } of ranges)
    ran.fill(count > 0 ? 1 : 0, startOffset - from, endOffset - from)
  return ran
}

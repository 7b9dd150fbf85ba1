/** What one client asked of one key, or of keys that are set together, and what of it may be there afterwards. */

/** A value in a map. */
export interface Found {
  readonly n: number
  readonly exp?: number | undefined
}

export interface Asked {
  readonly n: number
  readonly what: 'set' | 'delete'
  readonly exp: number | undefined
  /** By the clock of the server, around the immediate part of it; once it was acknowledged. */
  before?: number
  after?: number
}

export interface Settled {
  /** What was acknowledged and is neither there nor replaced. */
  readonly missing: readonly Asked[]
  readonly problem: string | undefined
  readonly expired: boolean
}

const NOTHING: Asked = { n: 0, what: 'delete', exp: undefined, before: 0, after: 0 }

export class KeyRecord {
  readonly map: string
  readonly id: string
  readonly parts: readonly string[]
  #n = 0
  #asked: Asked[] = [NOTHING]

  constructor(map: string, name: string, parts: readonly string[]) {
    this.map = map
    this.id = `${map}/${name}`
    this.parts = parts
  }

  get ids(): string[] {
    return this.parts.map((key) => `${this.map}/${key}`)
  }

  /** When the last was asked for that was acknowledged, by this run of the server. */
  get lastAsked(): number {
    return Math.max(...this.#asked.map(({ before = 0 }) => before))
  }

  ask(what: Asked['what'], exp: number | undefined): Asked {
    const one: Asked = { n: (this.#n += 1), what, exp }
    this.#asked.push(one)
    return one
  }

  acknowledged(one: Asked, before: number, after: number): void {
    one.before = before
    one.after = after
  }

  refused(one: Asked): void {
    this.#asked = this.#asked.filter((other) => other !== one)
  }

  /** What is there is from now on all that was ever asked. */
  settle(found: ReadonlyMap<string, Found>, now: number): Settled {
    const there = this.ids.map((id) => found.get(id))
    const [first] = there
    const whole = there.every((one) => one?.n === first?.n)
    const at = this.#asked.findLastIndex((one) => matches(one, first, now))
    const is = this.#asked[at]
    const missing = this.#asked.slice(at + 1).filter(({ after }) => after !== undefined)
    const problem =
      is === undefined
        ? `${this.id} is ${JSON.stringify(first)}, which nobody asked for`
        : whole
          ? undefined
          : `${this.id} is not whole: ${JSON.stringify(there)}`
    this.#asked = [{ ...(is ?? NOTHING), before: 0, after: 0 }]
    return { missing, problem, expired: is?.what === 'set' && first === undefined }
  }
}

/** Whether this could be what was done last. */
function matches({ n, what, exp }: Asked, found: Found | undefined, now: number): boolean {
  if (found !== undefined) return what === 'set' && found.n === n
  return what === 'delete' || (exp !== undefined && exp <= now)
}

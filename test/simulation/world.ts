/**
 * The world of a simulation: one clock, one order of turns, one trace. Whoever waits, waits here; when all
 * that could run has run, the seed decides who goes next, and time passes only when nobody can.
 */
import { createHash } from 'node:crypto'
import { setImmediate as drained } from 'node:timers/promises'
import type { Timers } from '../../src/engine/context.ts'
import { Random } from '../helpers/random.ts'

export const START: number = Date.UTC(2026, 0, 1)

/** Whose turns they are. What the dead wait for never comes. */
export interface Owner {
  readonly name: string
  dead: boolean
  /** Nothing of it runs before. */
  asleepUntil: number
  /** How many milliseconds a turn of it may take, while others do much. */
  slow: number
}

export type Style = 'even' | 'sticky' | 'ranked'

interface Waiting {
  readonly owner: Owner
  readonly due: number
  readonly label: string
  readonly rank: number
  readonly go: () => void
}

const TAIL = 60
const MOST_TURNS = 60_000

export class World {
  /** Milliseconds since the beginning. */
  time = 0
  turns = 0
  /** Called before each turn. */
  onTurn: (() => void) | undefined
  /** Turns of labels that begin so are often long in coming; `p0 LABEL`: those of one process alone. */
  stall: string | undefined
  /** Called when one of these is held up. */
  onStall: ((owner: Owner) => void) | undefined
  readonly random: Random
  readonly tail: string[] = []
  readonly #hash = createHash('sha256')
  readonly #style: Style
  #waiting: Waiting[] = []
  #last: Owner | undefined

  constructor(seed: number, style: Style) {
    this.random = new Random(seed)
    this.#style = style
  }

  owner(name: string): Owner {
    return { name, dead: false, asleepUntil: 0, slow: 0 }
  }

  note(text: string): void {
    const line = `${this.turns} +${this.time} ${text}`
    this.#hash.update(line)
    this.tail.push(line)
    if (this.tail.length > TAIL) this.tail.shift()
  }

  /** Of all that has happened. */
  get digest(): string {
    return this.#hash.copy().digest('hex')
  }

  /** Waits for its turn, and now and then for long. */
  turn(owner: Owner, label: string): Promise<void> {
    const late = this.random.int(0, 40) === 0 ? this.random.scaled(5, 3000) : 0
    const slow = this.random.int(0, owner.slow)
    return this.wait(owner, late + slow + this.#stalled(owner, label), label)
  }

  #stalled(owner: Owner, label: string): number {
    if (this.stall === undefined) return 0
    const [process] = owner.name.split('.')
    if (!label.startsWith(this.stall) && !`${process} ${label}`.startsWith(this.stall)) return 0
    if (this.random.int(0, 2) > 0) return 0
    this.onStall?.(owner)
    return this.random.scaled(100, 20_000)
  }

  wait(owner: Owner, ms: number, label: string): Promise<void> {
    const rank = this.random.next()
    return new Promise((go) => {
      if (!owner.dead)
        this.#waiting.push({ owner, due: this.time + Math.max(0, ms), label, rank, go })
    })
  }

  timersOf(owner: Owner): Timers {
    return {
      turn: () => this.turn(owner, 'turn'),
      delay: (ms) => this.wait(owner, ms + this.#stalled(owner, 'delay'), 'delay'),
      every: (ms, call) => {
        let going = true
        void (async () => {
          for (;;) {
            await this.wait(owner, ms, 'timer')
            if (!going) return
            call()
          }
        })()
        return () => {
          going = false
        }
      },
    }
  }

  kill(owner: Owner): void {
    owner.dead = true
    this.#waiting = this.#waiting.filter((one) => one.owner !== owner)
  }

  /** Gives turns until it is done. Nobody left who could go is an error, and so are turns without end. */
  async run(isDone: () => boolean): Promise<void> {
    const last = this.turns + MOST_TURNS
    for (;;) {
      await drained()
      if (isDone()) return
      if (this.turns >= last) throw new Error('it goes on and on')
      if (!this.step()) throw new Error('nobody can go on')
    }
  }

  get hasReady(): boolean {
    return this.#waiting.some((one) => dueOf(one) <= this.time)
  }

  /** One turn; false when nobody waits. */
  step(): boolean {
    this.onTurn?.()
    if (this.#waiting.length === 0) return false
    let ready = this.#waiting.filter((one) => dueOf(one) <= this.time)
    if (ready.length === 0) {
      this.time = Math.min(...this.#waiting.map(dueOf))
      ready = this.#waiting.filter((one) => dueOf(one) <= this.time)
    }
    const next = this.#pick(ready)
    this.#waiting.splice(this.#waiting.indexOf(next), 1)
    this.#last = next.owner
    this.turns += 1
    this.time += this.random.int(0, 3)
    this.note(`${next.owner.name} ${next.label}`)
    next.go()
    return true
  }

  #pick(ready: readonly Waiting[]): Waiting {
    const [first] = ready
    if (first === undefined) throw new Error('nobody is ready')
    const anyone = ready[this.random.int(0, ready.length - 1)] ?? first
    if (this.#style === 'even' || this.random.int(0, 9) === 0) return anyone
    if (this.#style === 'sticky') return ready.find(({ owner }) => owner === this.#last) ?? anyone
    return ready.reduce((best, one) => (one.rank < best.rank ? one : best))
  }
}

const dueOf = ({ due, owner }: Waiting): number => Math.max(due, owner.asleepUntil)

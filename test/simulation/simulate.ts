/** Plays one plan in a world of its own, from the first turn to the last look. */
import type { OpenCar } from '../../src/car/state.ts'
import { Cairn } from '../../src/cairn.ts'
import { printCid, type Block } from '../../src/model/cid.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import { Random } from '../helpers/random.ts'
import { Broken, collect, expectTrue } from './check.ts'
import { Faults } from './faults.ts'
import { expectCoded, Process, type Ground } from './ground.ts'
import { Opening, type Site } from './opening.ts'
import type { Plan, Strike } from './plan.ts'
import { proveContent } from './reading.ts'
import { play, type Step } from './steps.ts'
import { SimStore } from './store.ts'
import { Truth } from './truth.ts'
import { START, World, type Owner } from './world.ts'

export interface Played {
  /** Undefined: all promises were kept. */
  readonly failure: string | undefined
  readonly turns: number
  readonly commits: number
  readonly digest: string
  readonly tail: readonly string[]
  readonly outcomes: ReadonlyMap<string, number>
}

const HOUR = 3_600_000
const FOREIGN_ENTITIES = 150

const numbered = (count: number): { pi: string; value: object }[] =>
  Array.from({ length: count }, (_, n) => ({ pi: `e${n}`, value: { first: n } }))

export async function simulate(plan: Plan): Promise<Played> {
  const game = new Game(plan)
  let failure: string | undefined
  try {
    await game.play()
  } catch (error) {
    failure = error instanceof Broken ? error.message : String((error as Error).stack ?? error)
  }
  const { world } = game.site
  const commits = [...game.truth.datasets.values()].reduce((sum, all) => sum + all.length, 0)
  const { digest, turns, tail } = world
  return { failure, turns, commits, digest, tail, outcomes: game.outcomes }
}

class Game {
  readonly site: Site
  readonly truth = new Truth()
  readonly outcomes = new Map<string, number>()
  readonly #plan: Plan
  readonly #ground: Ground
  readonly #random: Random
  readonly #processes: Process[] = []
  readonly #visitors: Process[] = []
  readonly #scripts: { readonly steps: readonly Step[]; at: number; over: boolean }[]
  readonly #blows: Strike[]
  #births = 0
  #failure: Error | undefined

  constructor(plan: Plan) {
    const { seed, frees, faults, rate, parts } = plan
    this.#plan = plan
    this.#random = new Random(seed ^ 0x5eed)
    const world = new World(seed ^ 0x7a11, plan.style)
    const store = new SimStore(frees, new Random(seed ^ 0x570e), this.truth)
    this.site = { world, store, faults: new Faults(seed ^ 0xfa17, new Set(faults), rate) }
    this.#ground = {
      site: this.site,
      truth: this.truth,
      entities: plan.entities,
      saved: [],
      never: new Map(),
      once: new Map(),
      outcomes: this.outcomes,
      liars: (['wrong', 'missing', 'rotten'] as const).some((fault) => faults.includes(fault)),
    }
    store.keep = (bytes) => this.site.faults.kept(bytes)
    this.#scripts = plan.scripts.map((_, i) => ({
      steps: parts.flatMap((part) => ('step' in part && part.script === i ? [part.step] : [])),
      at: 0,
      over: false,
    }))
    this.#blows = parts
      .flatMap((part) => ('blow' in part ? [part] : []))
      .toSorted((a, b) => a.turn - b.turn)
  }

  async play(): Promise<void> {
    const { world, faults } = this.site
    faults.on = false
    await this.#alone((process) => this.#begin(process))
    faults.on = true
    world.stall = this.#plan.stall
    if (this.#plan.oversleeps === true) world.onStall = (owner) => this.#oversleep(owner)
    for (let i = 0; i < this.#plan.processes; i++) this.#processes.push(this.#born(i))
    for (const i of this.#scripts.keys()) this.#go(i)
    const start = world.turns
    world.onTurn = () => this.#fall(world.turns - start)
    await world.run(() => this.#failure !== undefined || this.#scripts.every(({ over }) => over))
    world.onTurn = undefined
    world.stall = undefined
    world.onStall = undefined
    if (this.#failure !== undefined) throw this.#failure
    faults.on = false
    await this.#settle()
    await this.#alone((process, opening) => this.#lastLook(process, opening))
  }

  async #begin({ cairn }: Process): Promise<void> {
    const { content, chainLimit, entities, filled } = this.#plan
    await cairn.init('main', { chunkSize: 64, content, chainLimit, deletedMs: 50_000 })
    if (filled !== true) return
    await (await cairn.dataset('main')).bulkLoad(numbered(entities))
    this.#ground.saved.push(await this.#foreignCar())
  }

  /** Of another store, so that nothing of it is here; the truth knows what it is made of. */
  async #foreignCar(): Promise<OpenCar> {
    const { world } = this.site
    const owner = world.owner('elsewhere')
    const watcher = { block: (one: Block) => this.truth.block(one), commit: () => {} }
    const store = new SimStore('blocks', this.#random, watcher)
    const elsewhere = new Cairn(new Opening({ ...this.site, store }, owner), {
      now: () => START,
      timers: world.timersOf(owner),
      randomBytes: (count) => Uint8Array.from({ length: count }, () => this.#random.int(0, 255)),
    })
    const { dataset } = await elsewhere.init('main', {
      chunkSize: 64,
      content: this.#plan.content,
    })
    await dataset.bulkLoad(numbered(FOREIGN_ENTITIES))
    return (await carInMemory(dataset)).car
  }

  #born(index: number): Process {
    const name = `p${index}.${this.#births++}`
    return new Process(this.site, name, this.#plan.seed + this.#births)
  }

  /** Runs a script from where it stands, in the process as it lives now. */
  #go(script: number): void {
    const process = this.#processes[this.#plan.scripts[script] ?? 0]
    const state = this.#scripts[script]
    if (process === undefined || state === undefined) return
    void (async () => {
      try {
        for (let step = state.steps[state.at++]; step !== undefined; step = state.steps[state.at++])
          await play(this.#ground, process, step)
        state.over = true
      } catch (error) {
        this.#failure ??= error instanceof Error ? error : new Error(String(error))
      }
    })()
  }

  /** Blows whose turn has come. */
  #fall(turn: number): void {
    this.#checkStore()
    for (
      let next = this.#blows[0];
      next !== undefined && next.turn <= turn;
      next = this.#blows[0]
    ) {
      this.#blows.shift()
      this.#strike(next)
    }
  }

  #strike({ blow, process: index, ms }: Strike): void {
    const { world, store } = this.site
    const process = this.#processes[index]
    if (process === undefined) return
    world.note(`${blow} ${process.owner.name} ${ms}`)
    if (blow === 'kill') this.#kill(index)
    if (blow === 'clock') process.offset += ms
    if (blow === 'collect') store.collect()
    if (blow === 'crash') store.crash()
    if (blow === 'sleep') this.#sleep(process, Math.abs(ms))
    if (blow === 'power cut') {
      for (const i of this.#processes.keys()) this.#kill(i)
      store.crash()
    }
  }

  #sleep(process: Process, ms: number): void {
    const { world, store } = this.site
    process.owner.asleepUntil = world.time + ms
    if (ms < HOUR) return
    process.slept = true
    void world.wait(world.owner('leases'), HOUR, 'void').then(() => {
      store.expire(process.owner)
      return this.#visit()
    })
  }

  /** Once is enough. */
  #oversleep(owner: Owner): void {
    const { world } = this.site
    const process = this.#processes.find((one) => one.owner === owner)
    if (process === undefined) return
    world.onStall = undefined
    world.note(`${owner.name} falls asleep`)
    this.#sleep(process, this.#random.int(HOUR + HOUR / 4, 2 * HOUR))
  }

  /** As cron does it: a process comes, prunes, and goes. */
  async #visit(): Promise<void> {
    const process = this.#born(8)
    this.#visitors.push(process)
    for (const name of this.truth.datasets.keys()) {
      try {
        await (await process.cairn.dataset(name)).prune({ policy: { last: 1 } })
      } catch (error) {
        this.#fail(() => expectCoded(this.#ground, process, `a visit to ${name}`, error))
      }
    }
  }

  #fail(check: () => unknown): void {
    try {
      check()
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
    }
  }

  /** Another takes its place; what it held is void at some time within the hour. */
  #kill(index: number): void {
    const { world, store } = this.site
    const process = this.#processes[index]
    if (process === undefined) return
    world.kill(process.owner)
    const wait = this.#random.int(0, 1) === 0 ? 0 : this.#random.scaled(10, HOUR)
    void world.wait(world.owner('leases'), wait, 'void').then(() => store.expire(process.owner))
    this.#processes[index] = this.#born(index)
    for (const [i, of] of this.#plan.scripts.entries())
      if (of === index && this.#scripts[i]?.over === false) this.#go(i)
  }

  /** What is late has come, what is void has ended. */
  async #settle(): Promise<void> {
    const { world, store } = this.site
    for (const { owner } of [...this.#processes, ...this.#visitors]) world.kill(owner)
    const until = world.time + 3 * HOUR
    let over = false
    void world.wait(world.owner('end'), 3 * HOUR, 'settled').then(() => (over = true))
    await world.run(() => over && world.time >= until)
    for (const { owner } of [...this.#processes, ...this.#visitors]) store.expire(owner)
    store.crash()
    store.collect()
    store.cleanse()
    this.truth.look()
  }

  async #alone(work: (process: Process, opening: Opening) => Promise<void>): Promise<void> {
    const process = this.#born(9)
    let over = false
    const working = work(process, new Opening(this.site, process.owner)).finally(
      () => (over = true),
    )
    working.catch(() => undefined)
    await this.site.world.run(() => over)
    await working
    this.site.world.kill(process.owner)
    this.site.store.expire(process.owner)
  }

  /** At any time all that is kept is there. */
  #checkStore(): void {
    this.truth.look()
    const { store } = this.site
    for (const [key, why] of store.hasLost ? this.truth.needed() : this.truth.neededByNew())
      expectTrue(
        store.blocks.has(key) && !store.rotten.has(key),
        `the store lacks a block of ${why}`,
      )
    store.hasLost = false
  }

  async #lastLook(process: Process, opening: Opening): Promise<void> {
    this.#checkStore()
    for (const name of this.truth.datasets.keys()) {
      const dataset = await process.cairn.dataset(name)
      const found = await collect(dataset.entries())
      const state = this.truth.at(name, this.truth.newest(name))
      const moment = Math.max(process.now(), state.commit.ts)
      const live = [...state.entries.values()].filter(
        ({ tip, exp }) => tip !== null && (exp === null || exp > moment),
      )
      const lineOf = ({ pi, ver }: { pi: string; ver: number }): string => `${pi}@${ver}`
      const [seen, held] = [found.map(lineOf).toSorted(), live.map(lineOf).toSorted()]
      expectTrue(
        String(seen) === String(held),
        `at the end ${name} has ${seen.join()}, not ${held.join()}`,
      )
      if (state.commit.settings.content === 'linked') await proveContent(dataset, opening)
      for (const cid of this.truth.keptOf(state.commit))
        await collect(dataset.entries({ at: { snapshot: printCid(cid) } }))
    }
    this.#checkTips()
    await this.#checkRest(process.cairn)
  }

  #checkTips(): void {
    const { appendedTips } = this.truth
    for (const [tip, why] of this.#ground.never)
      expectTrue(!appendedTips.has(tip), `refused, and there all the same: ${why}`)
    for (const [tip, why] of this.#ground.once) {
      const commits = appendedTips.get(tip) ?? []
      expectTrue(commits.length <= 1, `${why} was appended again: ${commits.join(', ')}`)
    }
  }

  /** When nothing but the newest is kept, nothing else is left. */
  async #checkRest(cairn: Cairn): Promise<void> {
    const { store } = this.site
    for (const round of [1, 2])
      for (const name of this.truth.datasets.keys()) {
        const dataset = await cairn.dataset(name)
        if (round === 1) await dataset.build({ force: true })
        await dataset.prune({ policy: { last: 1 } })
      }
    store.collect()
    this.#checkStore()
    if (store.frees === 'holds') return
    const needed = this.truth.allowed()
    const left = [...store.blocks.keys()].filter((key) => !needed.has(key))
    expectTrue(left.length === 0, `${left.length} blocks are left that nothing needs`)
  }
}

/**
 * The kill machine: a server with a session is killed at random moments while eight clients write, and started
 * again, again and again. What its maps promise is compared with what is there:
 *
 *   commit     what was acknowledged is there, or what the same client wrote of it later
 *   interval   of what was acknowledged, what is lost was asked for within one window before the last that was
 *              let go on: nobody got further ahead of the store
 *   setAll     is there whole or not at all
 *   expiry     what has expired is not served; what has not is there
 *   a source   is there as whole as it was captured, at least as new as at the last save that was acknowledged
 *
 * and of what nobody wrote nothing is there. The session is active, and the newest state is the one that is used.
 */
import { mkdir, rm } from 'node:fs/promises'
import { Random } from '../helpers/random.ts'
import { Refused, startScene, type Place, type Scene, type SceneClient } from './scene.ts'
import { KeyRecord, type Asked, type Found } from './kill-record.ts'

export interface MachineOptions {
  readonly kills: number
  /** It goes on until so many writes were acknowledged. */
  readonly acked: number
  readonly seed: number
  /** Sets more keys at once than a chain may have. A death in the midst of that reserves the dataset for two minutes. */
  readonly bulk?: boolean | undefined
  readonly onRound?: (outcome: Outcome) => void
}

export interface Outcome {
  kills: number
  /** Of them those while it was starting. */
  startKills: number
  acked: number
  /** Writes with durability interval that were acknowledged and lost, and the longest span of them in a kill. */
  lost: number
  longestMs: number
  expired: number
  readonly problems: string[]
}

const WINDOW = 200
const CLIENTS = 8
const KEYS = 4
const SCENE = Array.from({ length: 10 }, (_, i) => `part ${i}`)
/** More keys than the chain may have: loaded in bulk. */
const CHAIN = 120
const BIG = 150

const OPTIONS = {
  chainLimit: CHAIN,
  maps: {
    safe: {},
    groups: {},
    quick: { durability: 'interval', window: WINDOW },
    codes: { ttl: 60_000 },
  },
  source: true,
  session: {
    sources: ['scene'],
    maxBackups: 2,
    keepBackups: { last: 2 },
    keepSnapshots: { last: 3 },
  },
  autosave: { every: 150, backupEvery: 700 },
}

/** Nothing but writes of durability interval: only their own window makes them durable. */
const CALM = { ...OPTIONS, autosave: { every: 0, backupEvery: 0 } }

interface Lane {
  readonly who: number
  readonly calm: boolean
  readonly over: () => boolean
}

export async function killMachine(place: Place, options: MachineOptions): Promise<Outcome> {
  const machine = new Machine(place, options)
  await machine.run()
  return machine.outcome
}

class Machine {
  readonly outcome: Outcome = {
    kills: 0,
    startKills: 0,
    acked: 0,
    lost: 0,
    longestMs: 0,
    expired: 0,
    problems: [],
  }
  readonly #place: Place
  readonly #options: MachineOptions
  readonly #random: Random
  readonly #records = new Map<string, KeyRecord>()
  #edited = 0
  #saved = 0

  constructor(place: Place, options: MachineOptions) {
    this.#place = place
    this.#options = options
    this.#random = new Random(options.seed)
  }

  async run(): Promise<void> {
    const { outcome } = this
    const { kills, acked, onRound } = this.#options
    await rm(this.#place.dir, { recursive: true, force: true })
    await mkdir(this.#place.dir, { recursive: true })
    await this.#prepare()
    while ((outcome.kills < kills || outcome.acked < acked) && outcome.problems.length === 0) {
      if (outcome.kills > 0 && this.#random.int(0, 5) === 0) await this.#killAtStart()
      else await this.#round('SIGKILL', this.#random.int(0, 2) === 0)
      onRound?.(outcome)
    }
    // An end in good order loses nothing at all.
    await this.#round('SIGTERM', false)
    await this.#look('SIGTERM')
  }

  /** Somebody initializes, once and never again. */
  async #prepare(): Promise<void> {
    const scene = startScene(this.#place, OPTIONS)
    const client = await scene.client()
    await client.ask('edit', { values: Object.fromEntries(SCENE.map((key) => [key, 0])) })
    await client.ask('init')
    await scene.kill('SIGKILL')
  }

  async #killAtStart(): Promise<void> {
    const scene = startScene(this.#place, OPTIONS)
    const wait = new Promise((resolve) => setTimeout(resolve, this.#random.int(50, 900)))
    await Promise.race([wait, scene.said('listening').catch(() => {})])
    await this.#end(scene, 'SIGKILL')
    this.outcome.kills += 1
    this.outcome.startKills += 1
  }

  async #end(scene: Scene, signal: NodeJS.Signals): Promise<void> {
    const how = await scene.kill(signal)
    const complaints = scene.lines.filter((line) => /fail|error|closed/i.test(line))
    if (how !== (signal === 'SIGKILL' ? signal : 0) || complaints.length > 0)
      this.outcome.problems.push(`it ended with ${how} and said: ${scene.lines.join(' | ')}`)
  }

  /** What is there is looked at, then clients write until it dies. */
  async #round(signal: 'SIGKILL' | 'SIGTERM', calm: boolean): Promise<void> {
    const scene = startScene(this.#place, calm ? CALM : OPTIONS)
    const clients = await this.#lookAt(scene, 'SIGKILL')
    let over = false
    const lanes = clients.map((client, i) => this.#lane(client, { who: i, calm, over: () => over }))
    const least = this.outcome.acked + this.#random.int(1, 400)
    while (this.outcome.acked < least && scene.child.exitCode === null) await pause(1)
    await pause(this.#random.int(0, calm ? 4 * WINDOW : 60))
    over = signal === 'SIGTERM'
    if (over) await Promise.all(lanes)
    await this.#end(scene, signal)
    await Promise.all(lanes)
    if (signal === 'SIGKILL') this.outcome.kills += 1
  }

  async #look(after: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const scene = startScene(this.#place, OPTIONS)
    await this.#lookAt(scene, after)
    await this.#end(scene, 'SIGTERM')
  }

  async #lookAt(scene: Scene, after: 'SIGKILL' | 'SIGTERM'): Promise<SceneClient[]> {
    const clients: SceneClient[] = []
    for (let i = 0; i < CLIENTS; i++) clients.push(await scene.client())
    const [first] = clients
    if (first === undefined) return []
    const { problems } = this.outcome
    const { state, restored } = await first.ask<{ state: string; restored: { from: string } }>(
      'state',
    )
    if (state !== 'active') problems.push(`the session is ${state}`)
    if (restored.from !== 'newest') problems.push(`restored from ${restored.from}`)
    this.#compareScene(new Map(await first.ask<[string, number][]>('scene')))
    const found = new Map<string, Found>()
    for (const map of Object.keys(OPTIONS.maps)) {
      const { now, items } = await first.ask<{ now: number; items: [string, Found][] }>('all', {
        map,
      })
      for (const [key, value] of items) {
        found.set(`${map}/${key}`, value)
        if (value.exp !== undefined && value.exp <= now)
          problems.push(`${key} has expired and is served`)
      }
    }
    this.#compare(found, after)
    return clients
  }

  #compareScene(scene: ReadonlyMap<string, number>): void {
    const versions = new Set(SCENE.map((key) => scene.get(key)))
    const [version = -1] = versions
    if (versions.size !== 1 || version < this.#saved || version > this.#edited) {
      const is = JSON.stringify([...scene])
      this.outcome.problems.push(`the scene is ${is}; saved ${this.#saved}, edited ${this.#edited}`)
    }
    this.#saved = version
    this.#edited = version
  }

  #compare(found: ReadonlyMap<string, Found>, after: 'SIGKILL' | 'SIGTERM'): void {
    const { outcome } = this
    const lost: Asked[] = []
    for (const id of found.keys())
      if (!this.#keys().has(id)) outcome.problems.push(`nobody wrote ${id}`)
    const newest = Math.max(...[...this.#records.values()].map((one) => one.lastAsked))
    for (const record of this.#records.values()) {
      const { missing, problem, expired } = record.settle(found, Date.now())
      if (problem !== undefined) outcome.problems.push(problem)
      if (expired) outcome.expired += 1
      lost.push(...missing)
      if (missing.length > 0 && (record.map !== 'quick' || after === 'SIGTERM'))
        outcome.problems.push(`lost of ${record.id}: ${JSON.stringify(missing)}`)
    }
    if (lost.length === 0) return
    const span = newest - Math.min(...lost.map((one) => one.after ?? 0))
    outcome.lost += lost.length
    outcome.longestMs = Math.max(outcome.longestMs, span)
    if (span > WINDOW)
      outcome.problems.push(`acknowledged over ${span} ms and lost: ${JSON.stringify(lost)}`)
  }

  #keys(): Set<string> {
    return new Set([...this.#records.values()].flatMap(({ ids }) => ids))
  }

  /** One client, which writes keys of its own. */
  async #lane(client: SceneClient, lane: Lane): Promise<void> {
    const { who, calm, over } = lane
    try {
      if (!calm) await client.ask('connect', { user: `user ${who}` })
      while (!over()) {
        if (who === 0 && !calm) await this.#edit(client)
        const some = Array.from({ length: this.#random.int(1, 6) }, () => this.#write(client, lane))
        await Promise.all(some)
        if (calm) await pause(this.#random.int(1, 20))
      }
    } catch (error) {
      if (error instanceof Refused) this.outcome.problems.push(`${error.code}: ${error.message}`)
    }
  }

  async #edit(client: SceneClient): Promise<void> {
    const version = (this.#edited += 1)
    await client.ask('edit', { values: Object.fromEntries(SCENE.map((key) => [key, version])) })
    if (this.#random.int(0, 3) > 0) return
    await client.ask('save', { reason: `version ${version}` })
    this.#saved = Math.max(this.#saved, version)
  }

  async #write(client: SceneClient, { who, calm }: Lane): Promise<void> {
    const map = calm ? 'quick' : this.#random.pick(['safe', 'quick', 'quick', 'groups', 'codes'])
    const name = `${who}-${this.#random.int(0, KEYS)}`
    const record = this.#record(map, name)
    if (map === 'groups') await this.#ask(client, record, 'setAll', {})
    else if (map === 'codes')
      await this.#ask(client, record, 'set', { exp: Date.now() + this.#random.int(200, 4000) })
    else if (this.#random.int(0, 6) === 0) await this.#ask(client, record, 'delete', {})
    else await this.#ask(client, record, 'set', {})
  }

  #record(map: string, name: string): KeyRecord {
    const id = `${map}/${name}`
    const known = this.#records.get(id)
    if (known !== undefined) return known
    const big = this.#options.bulk === true && name.endsWith('-0')
    const parts =
      map === 'groups' ? Array.from({ length: big ? BIG : 5 }, (_, i) => `${name} ${i}`) : [name]
    const made = new KeyRecord(map, name, parts)
    this.#records.set(id, made)
    return made
  }

  async #ask(
    client: SceneClient,
    record: KeyRecord,
    what: 'set' | 'setAll' | 'delete',
    { exp }: { readonly exp?: number },
  ): Promise<void> {
    const one = record.ask(what === 'delete' ? 'delete' : 'set', exp)
    const value: Found = { n: one.n, ...(exp === undefined ? {} : { exp }) }
    const { map, parts } = record
    const values = Object.fromEntries(parts.map((key) => [key, value]))
    const options = exp === undefined ? {} : { expiresAt: exp }
    const more = what === 'setAll' ? { values } : { key: parts[0], value, options }
    try {
      const { before, after } = await client.ask<{ before: number; after: number }>(what, {
        map,
        ...more,
      })
      record.acknowledged(one, before, after)
      this.outcome.acked += 1
    } catch (error) {
      // It waited at the server for longer than it was to live.
      if (!(error instanceof Refused && error.code === 'usage' && exp !== undefined)) throw error
      record.refused(one)
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

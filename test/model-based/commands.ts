/**
 * The commands of a script, each a function whose call is its own text: a script that failed is printed
 * as code, and that code runs. What a command names may be gone by then: it is named by how far back it
 * lies, counted round, so that every script can be run and shortened.
 */
import type fc from 'fast-check'
import { START } from '../helpers/engine.ts'
import * as reads from './reads.ts'
import { DAY, valueOf, type Wanted, type World } from './world.ts'
import * as writes from './writes.ts'

export type Command = fc.AsyncCommand<World, World>

function command(text: string, run: (world: World) => Promise<void> | void): Command {
  return {
    check: () => true,
    run: async (world) => {
      world.script.push(text)
      world.now += 1000
      await run(world)
      await world.check()
    },
    toString: () => text,
  }
}

/** A call as code: JSON without quotes around names. */
function call(name: string, ...args: readonly unknown[]): string {
  const texts = args.filter((one) => one !== undefined).map((one) => code(one))
  return `${name}(${texts.join(', ')})`
}

function code(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(code).join(', ')}]`
  const fields = Object.entries(value).filter(([, one]) => one !== undefined)
  return fields.length === 0
    ? '{}'
    : `{ ${fields.map(([key, one]) => `${key}: ${code(one)}`).join(', ')} }`
}

/** Stores `{ n }` as the next version of each entity, in one batch. */
export const put = (ids: readonly string[], n: number): Command =>
  command(call('put', ids, n), (world) =>
    writes.write(
      world,
      ids.map((pi) => ({ pi, n })),
    ),
  )

/** As many entities as make a tree of several leaves. */
export const fill = (prefix: string, count: number, n: number): Command =>
  command(call('fill', prefix, count, n), (world) => {
    const ids = Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(3, '0')}`)
    return writes.write(
      world,
      ids.map((pi) => ({ pi, n })),
    )
  })

export interface Versioned {
  /** The version, by how far it lies above the current one. */
  readonly above?: number
  /** The version that is expected, by how far it lies above the current one. */
  readonly expectAbove?: number
  /** Until so many days after the beginning of the script; not given: not said. */
  readonly untilDay?: number
}

/** One version, as a client would append it that knows, or only believes to know, the current one. */
export const append = (
  id: string,
  n: number,
  { above, expectAbove, untilDay }: Versioned,
): Command =>
  command(call('append', id, n, { above, expectAbove, untilDay }), (world) => {
    const current = world.known(id)?.ver ?? 0
    const wanted: Wanted = {
      pi: id,
      n,
      ...(above === undefined ? {} : { ver: Math.max(1, current + above) }),
      ...(expectAbove === undefined ? {} : { expectVer: Math.max(0, current + expectAbove) }),
      ...(untilDay === undefined ? {} : { exp: START + untilDay * DAY }),
    }
    return writes.write(world, [wanted])
  })

/** What a client does that did not hear its answer: the same version again, or one that only looks so. */
export const retry = (
  back: number,
  { exp }: { readonly exp: 'same' | 'other' | 'none' },
): Command =>
  command(call('retry', back, { exp }), (world) => {
    const { state } = world.of.newest
    if (state.chain.length === 0) return
    const { pi, ver, exp: until, ...entry } = nthLast(state.chain, back)
    const other = exp === 'other' ? START + 9 * DAY : (until ?? undefined)
    const n = valueOf({ pi, ver, exp: until, ...entry })
    return writes.write(world, [{ pi, n, ver, ...(exp === 'none' ? {} : { exp: other }) }])
  })

export const remove = (ids: readonly string[]): Command =>
  command(call('remove', ids), (world) =>
    writes.write(
      world,
      ids.map((pi) => ({ pi, n: null })),
    ),
  )

/** Stores `{ n }` until so many days from now. */
export const expiring = (ids: readonly string[], n: number, days: number): Command =>
  command(call('expiring', ids, n, days), (world) => {
    const exp = world.now + days * DAY
    return writes.write(
      world,
      ids.map((pi) => ({ pi, n, exp })),
    )
  })

export const build = (tag?: string): Command =>
  command(call('build', tag), (world) => writes.build(world, tag))

/** To the kept snapshot so many before the newest in the list. */
export const rollback = (back: number, { keepChain }: { readonly keepChain: boolean }): Command =>
  command(call('rollback', back, { keepChain }), async (world) => {
    const snapshot = nthLast(world.of.newest.kept, back)
    await writes.rollback(world, { snapshot }, `seq:${snapshot.seq}`, keepChain)
  })

/** To the commit so many before the newest, of those that are kept. */
export const rollbackToCommit = (
  back: number,
  { keepChain }: { readonly keepChain: boolean },
): Command =>
  command(call('rollbackToCommit', back, { keepChain }), async (world) => {
    const { number } = nthLast(world.of.keptCommits, back)
    await writes.rollback(world, { number }, number, keepChain)
  })

export const prune = ({ keepLast }: { readonly keepLast: number }): Command =>
  command(call('prune', { keepLast }), (world) => writes.prune(world, keepLast))

/** Exports what is current, and restores it in the same store as `name`. */
export const exportAndRestoreAs = (name: string): Command =>
  command(call('exportAndRestoreAs', name), async (world) => {
    if (name !== world.name) await writes.copyTo(world, name)
  })

/** From now on works on the dataset `name`, if there is one. */
export const use = (name: string): Command =>
  command(call('use', name), (world) => {
    if (world.datasets.has(name)) world.name = name
  })

export const otherWriter = (): Command =>
  command(call('otherWriter'), (world) => world.switchWriter())

export const reopen = (): Command => command(call('reopen'), (world) => world.reopen())

export const tick = ({ days }: { readonly days: number }): Command =>
  command(call('tick', { days }), (world) => void (world.now += days * DAY))

export const list = (page: reads.PageOf): Command =>
  command(call('list', page), (world) => reads.list(world, page))

export const get = (id: string): Command =>
  command(call('get', id), (world) => reads.get(world, id))

export const history = (id: string): Command =>
  command(call('history', id), (world) => reads.history(world, id))

/** What was current so many commits ago. */
export const at = (back: number): Command =>
  command(call('at', back), (world) => reads.at(world, back % world.of.made.length))

/** Between two kept snapshots. */
export const diff = (before: number, after: number): Command =>
  command(call('diff', before, after), (world) => {
    const { kept } = world.of.newest
    const [a, b] = [nthLast(kept, before), nthLast(kept, after)]
    return reads.diff(world, `seq:${a.seq}`, `seq:${b.seq}`)
  })

export const checkAll = (): Command =>
  command(call('checkAll'), async (world) => {
    const { name } = world
    await reads.checkAll(world)
    world.name = name
  })

function nthLast<T>(items: readonly T[], n: number): T {
  const item = items.at(-1 - (n % items.length))
  if (item === undefined) throw new Error('nothing to choose from')
  return item
}

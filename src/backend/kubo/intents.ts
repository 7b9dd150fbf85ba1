/**
 * What is about to be held, written down before it is: one small file for each import, under
 * `/cairn/intents/`. Pins of an import have no name, so this is how a sweep finds those that a crash
 * left, and what a writer relies on that nothing names yet. The files of what was committed are
 * removed in the background; whatever else ended (a crash, a conflict, an error) leaves its file.
 *
 * File name: `<UTC time>-<random>`. Content: JSON `{dataset, commit | label, pins, bundled, staging}`. An intent
 * is dead an hour after it was written, or an hour after the last renewal of its staging's lease.
 */
import { parseCid, printCid, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { mapAtOnce } from '../../util/in-order.ts'
import { unreadable, VOID_MS, type LeaseFolder } from './leases.ts'
import type { Mfs } from './mfs.ts'
import { INTENTS } from './paths.ts'
import { timedName, timeOfName } from './timed-name.ts'

export interface IntentSpec {
  /** `undefined`: for more than one. */
  readonly dataset?: string
  /** What for: the number of a commit, or the words of a staging. */
  readonly purpose: number | string
  readonly pins: readonly CidBytes[]
  /** The pins are those of bundles. */
  readonly bundled?: boolean
  /** The name of the lease of the staging that it is for. */
  readonly staging?: string | undefined
}

export interface Intent {
  readonly path: string
  readonly pins: readonly CidBytes[]
  readonly bundled: boolean
  readonly at: number
}

export interface Intents {
  /** Durable when it returns. */
  write(spec: IntentSpec, options?: CallOptions): Promise<Intent>
  /** The names of those that were dead an hour's life before `moment`. */
  deadAt(moment: number, options?: CallOptions): Promise<DeadIntents>
  /** All pins that intents name, except those of the dead. */
  livePins(dead: DeadIntents, options?: CallOptions): Promise<Set<string>>
}

export interface DeadIntents {
  readonly names: ReadonlySet<string>
  readonly pins: readonly CidBytes[]
  readonly bundles: readonly CidBytes[]
  /** To be removed once their pins were seen to. */
  readonly paths: readonly string[]
}

const AT_ONCE = 16

export function createIntents(
  mfs: Mfs,
  stagings: LeaseFolder,
  now: () => number,
  onError: (error: unknown) => void,
): Intents {
  const names = async (options?: CallOptions): Promise<string[]> =>
    ((await mfs.list(INTENTS, options)) ?? []).filter((name) => timeOfName(name) !== undefined)

  const read = async (
    name: string,
    options?: CallOptions,
  ): Promise<Content | 'unreadable' | undefined> => {
    const bytes = await mfs.read(`${INTENTS}/${name}`, options)
    return bytes === undefined ? undefined : parseIntent(bytes)
  }

  return {
    async write(spec, options) {
      const at = now()
      const name = timedName(at)
      const path = `${INTENTS}/${name}`
      await mfs.put(path, Buffer.from(intentJson(spec)), options)
      return { path, pins: spec.pins, bundled: spec.bundled === true, at }
    },

    async deadAt(moment, options) {
      // The leases first: one that ends after this was alive now, and so were its intents.
      const leases = await stagings.list(options)
      const signs = new Map(leases.map(({ name, sign }) => [name, sign]))
      const isDead = (sign: number): boolean => moment - sign > VOID_MS
      const old = (await names(options)).filter((name) => isDead(timeOfName(name) ?? moment))
      const dead = new Map<string, Content>()
      const ignored: string[] = []
      await mapAtOnce(old, AT_ONCE, async (name) => {
        const content = await read(name, options)
        if (content === undefined) return
        if (content === 'unreadable') {
          ignored.push(name)
          onError(unreadable([`${INTENTS}/${name}`]))
        } else if (isDead(signs.get(content.staging ?? '') ?? -Infinity)) dead.set(name, content)
      })
      const ended = leases.filter(({ sign }) => isDead(sign)).flatMap(({ paths }) => paths)
      return {
        names: new Set([...dead.keys(), ...ignored]),
        pins: [...dead.values()].flatMap(({ pins, bundled }) => (bundled ? [] : pins)),
        bundles: [...dead.values()].flatMap(({ pins, bundled }) => (bundled ? pins : [])),
        // An intent must not lose its lease before it goes itself: leases last.
        paths: [...[...dead.keys()].map((name) => `${INTENTS}/${name}`), ...ended],
      }
    },

    async livePins(dead, options) {
      const pins = new Set<string>()
      const seen = new Set(dead.names)
      for (;;) {
        const news = (await names(options)).filter((name) => !seen.has(name))
        let missed = false
        await mapAtOnce(news, AT_ONCE, async (name) => {
          const content = await read(name, options)
          if (content === 'unreadable') throw unreadable([`${INTENTS}/${name}`])
          seen.add(name)
          // Gone since it was listed: its pins may be named by another file now, written before it went.
          if (content === undefined) missed = true
          else for (const pin of content.pins) pins.add(printCid(pin))
        })
        if (!missed) return pins
      }
    },
  }
}

function intentJson({ dataset, purpose, pins, bundled, staging }: IntentSpec): string {
  const what = typeof purpose === 'number' ? { commit: purpose } : { label: purpose }
  return JSON.stringify({ dataset, ...what, pins: pins.map(printCid), bundled, staging })
}

interface Content {
  readonly pins: readonly CidBytes[]
  readonly bundled: boolean
  readonly staging: string | undefined
}

function parseIntent(bytes: Uint8Array): Content | 'unreadable' {
  try {
    const { pins, bundled, staging } = JSON.parse(Buffer.from(bytes).toString()) as Record<
      string,
      unknown
    >
    if (!Array.isArray(pins)) return 'unreadable'
    return {
      pins: pins.map((pin) => parseCid(String(pin))),
      bundled: bundled === true,
      staging: typeof staging === 'string' ? staging : undefined,
    }
  } catch {
    return 'unreadable'
  }
}

/** Changing a JSON text value by value; what comes out is mostly JSON, too. */
import type { Random } from '../helpers/random.ts'
import type { Mutation } from './mutate-bytes.ts'

const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  2 ** 53,
  2 ** 53 - 1,
  '',
  'x',
  [],
  {},
  [null],
  { '/': 'x' },
  { '/': { bytes: 'AAAA' } },
  { '/': 'bafkqaaa' },
  '\ud800',
  '\ufeff',
  'a'.repeat(600),
  -0,
  '2026-02-31T00:00:00Z',
  '+275760-09-13T00:00:00.000Z',
  '99999999-999999',
  8_640_000_000_000_001,
  JSON.parse('{"__proto__":{"a":1}}'),
]

export function mutateJson(bytes: Buffer, { random, pool }: Mutation): Buffer | undefined {
  const value = parsed(bytes)
  if (value === undefined) return undefined
  const other = parsed(pool[random.int(0, pool.length - 1)] ?? Buffer.alloc(0))
  const places = [...placesIn(value.json)]
  const place = places[random.int(0, places.length - 1)]
  if (place === undefined) return print(ODD[random.int(0, ODD.length - 1)])
  const { holder, key } = place
  const old = holder[key]
  switch (random.int(0, 5)) {
    case 5:
      return escaped(bytes, random)
    case 0:
      delete holder[key]
      break
    case 1:
      holder[key] = taken(other?.json, random)
      break
    case 2:
      holder[`${key}${random.int(0, 1) === 0 ? '' : 'x'}`] = { [key]: old }
      break
    case 3:
      holder[key] = near(old, random)
      break
    default:
      holder[key] = ODD[random.int(0, ODD.length - 1)]
  }
  return print(value.json)
}

/** A character of the text written as its escape: within a string it stays the same. */
function escaped(bytes: Buffer, random: Random): Buffer {
  const text = bytes.toString()
  const at = random.next() < 0.3 ? text.indexOf('/') : random.int(0, text.length - 1)
  if (at < 0) return bytes
  const code = text.charCodeAt(at).toString(16).padStart(4, '0')
  const shown = random.next() < 0.5 ? code : code.toUpperCase()
  return Buffer.from(`${text.slice(0, at)}\\u${shown}${text.slice(at + 1)}`)
}

const print = (json: unknown): Buffer => Buffer.from(JSON.stringify(json) ?? 'null')

function parsed(bytes: Uint8Array): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(Buffer.from(bytes).toString()) }
  } catch {
    return undefined
  }
}

type Holder = Record<string, unknown>

function* placesIn(json: unknown): Generator<{ readonly holder: Holder; readonly key: string }> {
  if (typeof json !== 'object' || json === null) return
  for (const key of Object.keys(json)) {
    yield { holder: json as Holder, key }
    yield* placesIn((json as Holder)[key])
  }
}

function taken(json: unknown, random: Random): unknown {
  const places = [...placesIn(json)]
  const place = places[random.int(0, places.length - 1)]
  return place === undefined ? json : place.holder[place.key]
}

function near(old: unknown, random: Random): unknown {
  if (typeof old === 'number') return old + random.pick([-1, 1, 0.5, 2 ** 53, -(2 ** 32)])
  if (typeof old !== 'string') return [old]
  const at = random.int(0, old.length)
  return `${old.slice(0, at)}${random.pick(['', 'A', '0', ' ', '\u0000', 'é', '\n'])}${old.slice(at + random.int(0, 1))}`
}

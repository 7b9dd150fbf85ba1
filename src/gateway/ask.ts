/**
 * What a request to the gateway asks for: a block or a CAR, how much of a DAG, and in which form. The query
 * goes before the header Accept. Pure.
 */
import { CairnError } from '../errors.ts'

export const RAW_TYPE = 'application/vnd.ipld.raw'
export const CAR_TYPE = 'application/vnd.ipld.car'

/**
 * How far a CAR goes below the end of its path: that block alone, all that makes the file or the listing that it
 * is, or everything.
 */
export const DAG_SCOPES = ['block', 'entity', 'all'] as const
export type DagScope = (typeof DAG_SCOPES)[number]

/** A part of a file, both ends included; below 0 counted from its end, null is the end. */
export interface EntityBytes {
  readonly from: number
  readonly to: number | null
}

export interface AskedCar {
  readonly form: 'car'
  readonly scope: DagScope
  readonly bytes: EntityBytes | undefined
  /** A block is sent as often as it is met. */
  readonly dups: boolean
}

export type Asked = { readonly form: 'raw' } | AskedCar

/** The parameters of an address, as they came. */
export type GivenQuery = Readonly<Record<string, unknown>>

interface Query {
  readonly format: string | undefined
  readonly scope: DagScope | undefined
  readonly bytes: EntityBytes | undefined
  readonly version: '1' | undefined
  readonly order: 'dfs' | 'unk' | undefined
  readonly dups: 'y' | 'n' | undefined
}

function queryFrom(given: GivenQuery): Query {
  return {
    format: textIn(given, 'format'),
    scope: oneIn(given, 'dag-scope', DAG_SCOPES),
    bytes: entityBytesOf(textIn(given, 'entity-bytes')),
    version: oneIn(given, 'car-version', ['1']),
    order: oneIn(given, 'car-order', ['dfs', 'unk']),
    dups: oneIn(given, 'car-dups', ['y', 'n']),
  }
}

/** A parameter that was given once, or not. */
export function textIn(given: GivenQuery, name: string): string | undefined {
  const text = given[name]
  if (text === undefined || typeof text === 'string') return text
  throw new CairnError('usage', `The parameter ${name} was given more than once.`, {
    hint: 'Give it once.',
  })
}

function oneIn<T extends string>(
  given: GivenQuery,
  name: string,
  values: readonly T[],
): T | undefined {
  const text = textIn(given, name)
  const value = values.find((one) => one === text)
  if (value !== undefined || text === undefined) return value
  throw new CairnError('usage', `The parameter ${name} is not "${text.slice(0, 64)}".`, {
    hint: `It can be: ${values.join(', ')}.`,
  })
}

/** Throws `usage` where nothing is asked for, `not_acceptable` for what is never given. */
export function asked(given: GivenQuery, accept: string | undefined): Asked {
  const query = queryFrom(given)
  const ranges = rangesOf(accept ?? '')
  const { format, scope, bytes } = query
  if (format !== undefined && format !== 'raw' && format !== 'car') throw notGiven(format)
  const range = ranges.find(
    (one) => format !== 'raw' && one.type === CAR_TYPE && isGiven(formOf(query, one)),
  )
  const form = format ?? formIn(ranges, range)
  if (form === 'raw') return { form }
  if (range === undefined && ranges.some(({ type }) => type === CAR_TYPE)) throw otherForm()
  return {
    form: 'car',
    scope: scope ?? (bytes === undefined ? 'all' : 'entity'),
    bytes,
    dups: formOf(query, range).dups === 'y',
  }
}

/** The first of the types that are given, as Accept prefers them. */
function formIn(ranges: readonly MediaRange[], car: MediaRange | undefined): 'raw' | 'car' {
  const found = ranges.find((one) => one.type === RAW_TYPE || one === car)
  if (found !== undefined) return found.type === RAW_TYPE ? 'raw' : 'car'
  if (ranges.some(({ type }) => type === CAR_TYPE)) throw otherForm()
  // Browsers and tools that take anything have not said what they want.
  if (ranges.length > 0 && !ranges.some(({ type }) => type.endsWith('/*')))
    throw notGiven(ranges[0]?.type ?? '')
  throw new CairnError('usage', 'The request does not say in which form it wants the blocks.', {
    hint: HINT,
  })
}

const HINT = 'Ask for ?format=raw, the block itself, or ?format=car, a CAR; each can be verified.'

function notGiven(form: string): CairnError {
  return new CairnError(
    'not_acceptable',
    `Nothing is given here as "${form.slice(0, 64)}": only blocks and CARs, which the client verifies.`,
    { hint: HINT },
  )
}

function otherForm(): CairnError {
  return new CairnError('not_acceptable', 'No CAR is given in the form that Accept names.', {
    hint: 'CARs have version=1, order=dfs, and dups=y or dups=n.',
  })
}

interface CarForm {
  readonly version: string | undefined
  readonly order: string | undefined
  readonly dups: string | undefined
}

function formOf(query: Query, range: MediaRange | undefined): CarForm {
  return {
    version: query.version ?? range?.parameters.get('version'),
    order: query.order ?? range?.parameters.get('order'),
    dups: query.dups ?? range?.parameters.get('dups'),
  }
}

/** Depth-first is also an order for who wants any. */
const isGiven = ({ version = '1', order = 'dfs', dups = 'n' }: CarForm): boolean =>
  version === '1' && ['dfs', 'unk', ''].includes(order) && ['y', 'n'].includes(dups)

interface MediaRange {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
  readonly q: number
}

/** What Accept names, the most wanted first. */
function rangesOf(accept: string): MediaRange[] {
  return accept
    .split(',')
    .map(rangeOf)
    .filter(({ type, q }) => type !== '' && q > 0)
    .toSorted((a, b) => b.q - a.q)
}

function rangeOf(text: string): MediaRange {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim())
  const parameters = new Map<string, string>()
  for (const part of rest) {
    const [name = '', value = ''] = part.split('=', 2)
    parameters.set(name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1'))
  }
  const q = Number(parameters.get('q') ?? 1)
  return { type: type.toLowerCase(), parameters, q: q >= 0 ? q : 0 }
}

export const ENTITY_BYTES_PATTERN = '^-?\\d{1,15}:(?:\\*|-?\\d{1,15})$'
const ENTITY_BYTES = new RegExp(ENTITY_BYTES_PATTERN)

function entityBytesOf(text: string | undefined): EntityBytes | undefined {
  if (text === undefined) return undefined
  if (!ENTITY_BYTES.test(text)) {
    throw new CairnError('usage', `The parameter entity-bytes is not "${text.slice(0, 64)}".`, {
      hint: 'It is FROM:TO, such as 0:1023, 1024:* or -1024:*.',
    })
  }
  const [from = '', to = ''] = text.split(':')
  return { from: Number(from), to: to === '*' ? null : Number(to) }
}

/** The query that asks for the same without a header. */
export function queryOf(what: Asked): string {
  if (what.form === 'raw') return 'format=raw'
  const { scope, bytes, dups } = what
  const part = bytes === undefined ? '' : `&entity-bytes=${bytes.from}:${bytes.to ?? '*'}`
  return `format=car&dag-scope=${scope}${part}&car-version=1&car-order=dfs&car-dups=${dups ? 'y' : 'n'}`
}

/** The type of a CAR with all that there is to say of its form. */
export const carType = ({ dups }: AskedCar): string =>
  `${CAR_TYPE}; version=1; order=dfs; dups=${dups ? 'y' : 'n'}`

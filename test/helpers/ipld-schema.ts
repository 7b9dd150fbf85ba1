/**
 * A small checker for the part of the IPLD Schema language that docs/schema.ipldsch uses: structs (as
 * maps and as tuples), enums of strings, kinded unions, lists, maps, links and named scalars. All
 * fields are required and no others are allowed. It throws at whatever it does not know.
 */
import { CID } from 'multiformats/cid'

type Fields = readonly (readonly [name: string, type: string])[]

type Definition =
  | { readonly kind: 'struct'; readonly fields: Fields; readonly tuple: boolean }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'union'; readonly members: Fields }
  | { readonly kind: 'alias'; readonly type: string }

const SCALARS: Readonly<Record<string, string>> = {
  String: 'string',
  Int: 'int',
  Float: 'float',
  Bool: 'bool',
  Bytes: 'bytes',
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float'
  if (value instanceof Uint8Array) return 'bytes'
  if (Array.isArray(value)) return 'list'
  if (CID.asCID(value) !== null) return 'link'
  if (typeof value === 'object') return 'map'
  throw new Error(`a ${typeof value} is not of the data model`)
}

export class IpldSchema {
  readonly #types: ReadonlyMap<string, Definition>

  constructor(text: string) {
    const bare = text.replace(/#.*$/gm, '')
    const pattern =
      /\btype\s+(\w+)\s+(?:(struct|enum|union)\s*\{\n([^]*?)\n\}(?:\s*representation\s+(\w+))?|([^\n]+))\n/g
    const types = new Map<string, Definition>()
    const rest = bare.replace(
      pattern,
      (_, name: string, kind?: string, body = '', as?: string, alias = '') => {
        types.set(
          name,
          kind === undefined ? { kind: 'alias', type: alias.trim() } : define(kind, body, as),
        )
        return ''
      },
    )
    if (rest.trim() !== '') throw new Error(`not understood: ${rest.trim()}`)
    this.#types = types
  }

  get names(): string[] {
    return [...this.#types.keys()]
  }

  /** The first way in which `value` is no `type`; undefined when it is one. */
  problem(type: string, value: unknown, path = ''): string | undefined {
    const at = path === '' ? type : path
    const [, inner] = /^nullable\s+(.+)$/.exec(type) ?? []
    if (inner !== undefined) return value === null ? undefined : this.problem(inner, value, at)
    if (type === 'Any' && value !== null) return undefined
    if (type.startsWith('&')) return expectKind('link', value, at)
    const scalar = SCALARS[type] ?? (Object.values(SCALARS).includes(type) ? type : undefined)
    if (scalar !== undefined) return expectKind(scalar, value, at)
    const [, of] = /^\[(.+)\]$/.exec(type) ?? []
    if (of !== undefined) return this.#list(of, value, at)
    const [, mapOf] = /^\{String:(.+)\}$/.exec(type) ?? []
    if (mapOf !== undefined) return this.#map(mapOf, value, at)
    const definition = this.#types.get(type)
    if (definition === undefined) throw new Error(`the type ${type} is not defined`)
    return this.#defined(definition, value, at)
  }

  #defined(definition: Definition, value: unknown, at: string): string | undefined {
    switch (definition.kind) {
      case 'alias':
        return this.problem(definition.type, value, at)
      case 'enum':
        return definition.values.includes(value as string)
          ? undefined
          : `${at}: not one of ${definition.values.join()}`
      case 'union':
        return this.#union(definition.members, value, at)
      case 'struct':
        return definition.tuple
          ? this.#tuple(definition.fields, value, at)
          : this.#struct(definition.fields, value, at)
    }
  }

  #list(of: string, value: unknown, at: string): string | undefined {
    if (!Array.isArray(value)) return `${at}: a list expected`
    return first(value.map((one, i) => this.problem(of, one, `${at}[${i}]`)))
  }

  #map(of: string, value: unknown, at: string): string | undefined {
    if (kindOf(value) !== 'map') return `${at}: a map expected`
    return first(
      Object.entries(value as object).map(([key, one]) => this.problem(of, one, `${at}.${key}`)),
    )
  }

  #union(members: Fields, value: unknown, at: string): string | undefined {
    const kind = kindOf(value)
    const member = members.find(([, of]) => of === kind)
    return member === undefined
      ? `${at}: a ${kind} is not of the union`
      : this.problem(member[0], value, at)
  }

  #tuple(fields: Fields, value: unknown, at: string): string | undefined {
    if (!Array.isArray(value) || value.length !== fields.length)
      return `${at}: ${fields.length} elements expected`
    return first(fields.map(([name, type], i) => this.problem(type, value[i], `${at}.${name}`)))
  }

  #struct(fields: Fields, value: unknown, at: string): string | undefined {
    if (kindOf(value) !== 'map') return `${at}: a map expected`
    const map = new Map(Object.entries(value as object))
    const unknown = [...map.keys()].find((key) => fields.every(([name]) => name !== key))
    if (unknown !== undefined) return `${at}.${unknown}: an unknown field`
    return first(
      fields.map(([name, type]) =>
        map.has(name)
          ? this.problem(type, map.get(name), `${at}.${name}`)
          : `${at}.${name}: it lacks`,
      ),
    )
  }
}

function expectKind(kind: string, value: unknown, at: string): string | undefined {
  const found = kindOf(value)
  return found === kind ? undefined : `${at}: ${kind} expected, ${found} found`
}

function first(problems: readonly (string | undefined)[]): string | undefined {
  return problems.find((problem) => problem !== undefined)
}

function define(kind: string, body: string, as: string | undefined): Definition {
  const rows = body
    .split('\n')
    .map((row) => row.trim())
    .filter((row) => row !== '')
  const parts = (pattern: RegExp): [string, string][] =>
    rows.map((row) => {
      const [, a = '', b = ''] = pattern.exec(row) ?? []
      if (b === '') throw new Error(`not understood: ${row}`)
      return [a, b]
    })
  if (kind === 'struct') {
    if (as !== undefined && as !== 'tuple' && as !== 'map') throw new Error(`a struct as ${as}`)
    return { kind, fields: parts(/^(\w+)\s+(.+)$/), tuple: as === 'tuple' }
  }
  if (kind === 'enum')
    return { kind, values: parts(/^\|\s*(\w+)\s*\("([^"]*)"\)$/).map(([, value]) => value) }
  if (kind === 'union' && as === 'kinded') return { kind, members: parts(/^\|\s*(\w+)\s+(\w+)$/) }
  throw new Error(`a ${kind} as ${as ?? 'nothing'}`)
}

/** `arke/manifest/v1` (also written `@v1`): what it says of its version, and what it names. */
import { idOfKey } from '../model/entity-id.ts'
import { isVersion, readId, readTime } from './fields.ts'
import { readLink, type OldLink } from './links.ts'
import { isMap, type OldMap } from './source.ts'

export interface ManifestFacts {
  readonly pi: string | undefined
  readonly ver: number | undefined
  readonly ts: number | undefined
}

export function manifestFacts(map: OldMap): ManifestFacts {
  const key = readId(map['pi'])
  return {
    pi: key === undefined ? undefined : idOfKey(key),
    ver: isVersion(map['ver']) ? map['ver'] : undefined,
    ts: readTime(map['ts']),
  }
}

export interface Named {
  readonly name: string
  readonly role: 'version' | 'component'
  readonly link: OldLink
}

const SCHEMAS = ['arke/manifest/v1', 'arke/manifest@v1']

export const isManifest = ({ schema }: OldMap): boolean =>
  typeof schema === 'string' && SCHEMAS.includes(schema)

/** The version before it and its components; a record that is no manifest names nothing. */
export function namedBy(map: OldMap): Named[] {
  if (!isManifest(map)) return []
  const { prev, components } = map
  const named: Named[] = []
  const add = (name: string, role: Named['role'], value: unknown): void => {
    const link = readLink(value)
    if (link !== undefined) named.push({ name, role, link })
  }
  add('prev', 'version', prev)
  for (const [name, value] of Object.entries(isMap(components) ? components : {}))
    add(name.slice(0, 100), 'component', value)
  return named
}

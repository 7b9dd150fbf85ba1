/** Schemas: what a program says of the values of a map, in the shape that schema libraries share (Standard Schema). */
import { CairnError } from '../errors.ts'

export interface Schema<V> {
  readonly '~standard': {
    readonly validate: (value: unknown) => SchemaResult<V> | Promise<SchemaResult<V>>
  }
}

export type SchemaResult<V> =
  { readonly value: V; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** The value as the schema gives it back; `invalid_content` where it does not fit. */
export function conform(schema: Schema<unknown> | undefined, value: unknown, key: string): unknown {
  if (schema === undefined) return value
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) {
    throw new CairnError(
      'usage',
      'The schema of a map answers later, and values are checked at once.',
      {
        hint: 'Use a schema without asynchronous checks.',
      },
    )
  }
  if (result.issues === undefined) return result.value
  const [first] = result.issues
  const place = (first?.path ?? []).map((part) =>
    String(typeof part === 'object' ? part.key : part),
  )
  throw new CairnError(
    'invalid_content',
    `The value of "${key.slice(0, 100)}" does not fit the map's schema: ${(first?.message ?? 'refused').replace(/\.$/, '')}.`,
    {
      hint: place.length === 0 ? 'Give a value that fits.' : `Look at its part ${place.join('.')}.`,
      issues: result.issues.length,
    },
  )
}

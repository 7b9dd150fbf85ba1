/**
 * How requests are held to their schemas. What comes as text (queries, addresses, headers) is read as
 * the type that it should be; bodies are taken as they are. What a schema does not know is refused,
 * never removed.
 */
import { AjvCompiler } from '@fastify/ajv-compiler'
import type { FastifyServerOptions } from 'fastify'
import { UNICODE } from '../schemas/common.ts'

const COMMON = {
  removeAdditional: false,
  useDefaults: true,
  allErrors: false,
  strict: false,
  discriminator: true,
  formats: { [UNICODE]: (text: string) => text.isWellFormed() },
} as const

type Factory = NonNullable<
  NonNullable<
    NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']
  >['buildValidator']
>
type Shared = Parameters<ReturnType<typeof AjvCompiler>>[0]

function compilerOf(shared: Shared): (route: { readonly httpPart?: string }) => unknown {
  const build = AjvCompiler()
  const texts = build(shared, { customOptions: { ...COMMON, coerceTypes: true } })
  const bodies = build(shared, { customOptions: { ...COMMON, coerceTypes: false } })
  return (route) => (route.httpPart === 'body' ? bodies : texts)(route)
}

/** Of the schemas that routes share, and of each route's own. A compiler takes the whole route, which types do not tell. */
export const buildValidator: Factory = compilerOf as unknown as Factory

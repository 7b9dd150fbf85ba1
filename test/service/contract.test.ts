/**
 * The API document: complete and tight by itself, and held against a real service by schemathesis. This is the
 * quick run; `npm run contract` is the long one.
 */
import { beforeAll, expect, test } from 'vitest'
import { runSchemathesis } from '../contract/schemathesis.ts'
import { openWorld } from '../contract/world.ts'
import { request, startService } from '../helpers/service.ts'

type Json = Readonly<Record<string, unknown>>

interface Operation extends Json {
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: unknown
  readonly responses?: Readonly<Record<string, { readonly content?: Json }>>
  readonly requestBody?: { readonly content?: Json }
  readonly parameters?: readonly { readonly name: string; readonly schema?: Json }[]
}

interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly tags: readonly { readonly name: string }[]
  readonly components: { readonly schemas: Readonly<Record<string, Json>> }
}

async function readDocument(): Promise<ApiDocument> {
  const service = await startService({ automation: false })
  return (await service.request('GET', '/openapi.json')).json as ApiDocument
}

function operationsOf({ paths }: ApiDocument): [string, Operation][] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      one,
    ]),
  )
}

test('every operation has a name of its own, a known tag, a summary, its right and its problems', async () => {
  const document = await readDocument()
  const operations = operationsOf(document)
  expect(operations.length).toBeGreaterThan(40)
  const tags = new Set(document.tags.map(({ name }) => name))
  const wrong: string[] = []
  for (const [
    name,
    { operationId, summary, tags: own = [], security, responses = {} },
  ] of operations) {
    if (!/^[a-z][A-Za-z]+$/.test(operationId ?? '')) wrong.push(`${name}: its id ${operationId}`)
    if (!/^[A-Z].*\.$/.test(summary ?? '')) wrong.push(`${name}: its summary`)
    if (own.length !== 1 || !own.every((tag) => tags.has(tag))) wrong.push(`${name}: its tag`)
    const open = security === undefined
    if (open !== OPEN_TO_ALL.has(operationId ?? '')) wrong.push(`${name}: its right`)
    const needed = ['400', '429', '500', '503', '504', ...(open ? [] : ['401', '403'])]
    for (const status of needed)
      if (responses[status] === undefined) wrong.push(`${name}: no ${status}`)
    for (const [status, { content }] of Object.entries(responses)) {
      if (status === '304') continue
      const schemas = Object.values(content ?? {}) as { schema?: unknown }[]
      if (schemas.length === 0 || schemas.some(({ schema }) => schema === undefined))
        wrong.push(`${name}: ${status} without a schema`)
    }
  }
  const ids = operations.map(([, { operationId }]) => operationId)
  expect(new Set(ids).size).toBe(ids.length)
  expect(wrong).toEqual([])
})

const OPEN_TO_ALL = new Set(['getLive', 'getReady', 'getHealthz', 'arkeHealth'])

test('no schema leaves open what may be there', async () => {
  const document = await readDocument()
  const loose: string[] = []
  for (const [name, one] of operationsOf(document)) {
    for (const { name: parameter, schema } of one.parameters ?? [])
      look(schema, `${name} ?${parameter}`, loose)
    look(one.requestBody?.content, `${name} body`, loose)
    look(one.responses, `${name} answer`, loose)
  }
  for (const [name, schema] of Object.entries(document.components.schemas))
    look({ schema }, name, loose)
  expect(loose).toEqual([])
})

/** Goes down to everything that is a schema; notes those that say nothing, and objects with any other fields. */
function look(at: unknown, place: string, loose: string[]): void {
  if (typeof at !== 'object' || at === null) return
  const here = at as Json
  for (const [key, one] of Object.entries(here)) {
    if (key === 'schema' || key === 'items') refuseEmpty(one, `${place}.${key}`, loose)
    if (key === 'properties')
      for (const [name, schema] of Object.entries(one as Json))
        refuseEmpty(schema, `${place}.${name}`, loose)
    if (!['enum', 'const', 'default', 'required'].includes(key)) look(one, `${place}.${key}`, loose)
  }
  const isObject = here['type'] === 'object' || [here['type']].flat().includes('object')
  if (!isObject || here['$ref'] !== undefined) return
  // One of several shapes: each of them says it.
  if (here['oneOf'] !== undefined) return
  const others = here['additionalProperties']
  if (others === undefined || others === true) loose.push(`${place}: any other field`)
  else if (others !== false) refuseEmpty(others, `${place}.*`, loose)
}

function refuseEmpty(schema: unknown, place: string, loose: string[]): void {
  const says = ['type', '$ref', 'anyOf', 'oneOf', 'const', 'enum', 'format']
  const isTold = typeof schema === 'object' && schema !== null && says.some((key) => key in schema)
  if (!isTold) loose.push(`${place}: anything`)
}

test('the document is served to everybody, and asks for nothing that it does not name', async () => {
  const { url } = await startService({ automation: false })
  const { headers, json } = await request(`${url}/openapi.json`, 'GET')
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  const text = JSON.stringify(json)
  const names = new Set(Object.keys((json as ApiDocument).components.schemas))
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g))
    expect(names).toContain(name)
  expect(text).not.toMatch(/"\$ref":"(?!#\/components\/)/)
})

// Installed once; that takes longer than a test may.
beforeAll(async () => {
  const { spawnSync } = await import('node:child_process')
  const { status } = spawnSync(process.execPath, ['scripts/schemathesis.mjs'])
  expect(status).toBe(0)
}, 300_000)

test(
  'schemathesis finds nothing that is other than the document says',
  { timeout: 120_000 },
  async () => {
    const world = await openWorld({ withTokens: true })
    try {
      const { passed, text } = await runSchemathesis(world, { seed: 1, examples: 6 })
      expect(passed, text).toBe(true)
      // All of it was tried, in every phase; the document has no examples.
      expect(text).toMatch(/Tested:\s+7\d/)
      for (const phase of ['Coverage', 'Fuzzing', 'Stateful'])
        expect(text).toMatch(new RegExp(`✅ {1,2}${phase}`))
      // A fault would be one of `request.failed`; jobs may fail by what they were given.
      expect(world.errors.filter((line) => line.startsWith('request.failed'))).toEqual([])
    } finally {
      await world.close()
    }
  },
)

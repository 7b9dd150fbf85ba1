/**
 * A file of one map as text, piece by piece: keys of any number are never held together. What stands behind the data
 * waits in sorted runs, which go to the disk when they are long. Pure but for that.
 */
import { keyOf } from '../model/entity-id.ts'
import { formatTime } from '../model/time.ts'
import { ExternalSort } from '../util/external-sort.ts'
import { FILE_SCHEMA, type FileHeader } from './format.ts'
import type { PrintedValue } from './value.ts'

export interface PrintedItem {
  readonly key: string
  readonly value: PrintedValue
  /** Milliseconds since 1970. */
  readonly exp: number | null
}

/** What waits in memory of each part behind the data. */
const WAITING_BYTES = 4 << 20

export async function* printFile(
  header: FileHeader,
  items: AsyncIterable<PrintedItem>,
): AsyncGenerator<string> {
  const expires = new ExternalSort({ memoryBytes: WAITING_BYTES })
  const encodings = new ExternalSort({ memoryBytes: WAITING_BYTES })
  try {
    yield `{\n${fieldsOf(header)}  "data": {`
    let separator = '\n'
    for await (const { key, value, exp } of items) {
      yield `${separator}    ${JSON.stringify(key)}: ${value.text}`
      separator = ',\n'
      if (exp !== null) await expires.add(memberOf(key, formatTime(exp)))
      if (value.encoding !== undefined) await encodings.add(memberOf(key, value.encoding))
    }
    yield `${separator === '\n' ? '' : '\n  '}}`
    yield* sectionOf('expires', expires)
    yield* sectionOf('encodings', encodings)
    yield '\n}\n'
  } finally {
    await expires.dispose()
    await encodings.dispose()
  }
}

function fieldsOf({ type, cacheName, timestamp, datetime, itemCount, ttlMs }: FileHeader): string {
  const fields = {
    type,
    cache_name: cacheName,
    timestamp,
    datetime,
    item_count: itemCount,
    schema: FILE_SCHEMA,
    ...(ttlMs === null ? {} : { ttl_ms: ttlMs }),
  }
  return Object.entries(fields)
    .map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`)
    .join('')
}

const memberOf = (key: string, value: unknown): { key: string; payload: Buffer } => ({
  key: keyOf(key),
  payload: Buffer.from(`${JSON.stringify(key)}: ${JSON.stringify(value)}`),
})

/** Nothing where no key has such a member. */
async function* sectionOf(name: string, members: ExternalSort): AsyncGenerator<string> {
  let separator = `,\n  "${name}": {\n`
  for await (const batch of members.sorted()) {
    for (const { payload } of batch) {
      yield `${separator}    ${payload.toString('utf8')}`
      separator = ',\n'
    }
  }
  if (separator === ',\n') yield '\n  }'
}

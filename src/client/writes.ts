/** What writes entities. Every write takes effect once, however often it has to be sent: see write.ts. */
import { base64 } from './dag-cbor.ts'
import { CairnClientError } from './error.ts'
import { entityPath } from './paths.ts'
import type {
  BatchEntry,
  Conditions,
  RollbackRecord,
  RollbackRequest,
  WrittenRecord,
} from './records.ts'
import type { CallOptions } from './transport.ts'
import { writeSafely, type Send, type Target, type WriteEntry } from './write.ts'

export interface WriteCalls {
  /** JSON, or bytes of any size. Links in a value are `{"/": CID}`. */
  readonly put: (
    pi: string,
    value: unknown,
    options?: Conditions & CallOptions,
  ) => Promise<WrittenRecord>
  readonly append: (entry: WriteEntry, options?: CallOptions) => Promise<WrittenRecord>
  /** All or none of up to 10,000; one commit. Those that name their version spare a look at what is there. */
  readonly appendBatch: (
    entries: readonly WriteEntry[],
    options?: CallOptions,
  ) => Promise<readonly WrittenRecord[]>
  readonly delete: (pi: string, options?: Conditions & CallOptions) => Promise<WrittenRecord>
  readonly rollback: (request: RollbackRequest, options?: CallOptions) => Promise<RollbackRecord>
}

/** Larger bytes are a body of their own. */
const MAX_INLINE = 1 << 20

export function writeCalls(target: Target): WriteCalls {
  const { http, place } = target
  const appendBatch: WriteCalls['appendBatch'] = async (entries, options = {}) => {
    if (entries.length === 0) return []
    const send: Send = async (numbered) => {
      const json = { entries: await Promise.all(numbered.map(wireEntry)) }
      const call = { method: 'POST', path: `${place}/entries`, json, ...options } as const
      return (await http.json<{ entries: readonly WrittenRecord[] }>({ ...call, retry: 'always' }))
        .entries
    }
    return writeSafely(target, entries, send, options)
  }
  const append: WriteCalls['append'] = async (entry, options = {}) =>
    only(
      isLarge(entry)
        ? await writeSafely(target, [entry], sendBody(target, options), options)
        : await appendBatch([entry], options),
    )
  return {
    append,
    appendBatch,
    put: (pi, value, { signal, ...conditions } = {}) =>
      append(
        value instanceof Uint8Array || value instanceof Blob
          ? { pi, bytes: value, ...conditions }
          : { pi, value, ...conditions },
        { signal },
      ),
    delete: (pi, { signal, ...conditions } = {}) =>
      append({ pi, tip: null, ...conditions }, { signal }),
    rollback: (json, { signal } = {}) =>
      http.json({ method: 'POST', path: `${place}/rollback`, json, retry: 'unbegun', signal }),
  }
}

export async function wireEntry({ bytes, ...entry }: WriteEntry): Promise<BatchEntry> {
  if (bytes === undefined) return entry
  const whole = bytes instanceof Blob ? new Uint8Array(await bytes.arrayBuffer()) : bytes
  return { ...entry, bytes: base64(whole, true) }
}

const sizeOf = (bytes: Uint8Array | Blob): number =>
  bytes instanceof Blob ? bytes.size : bytes.length

export const isLarge = ({ bytes }: WriteEntry): boolean =>
  bytes !== undefined && sizeOf(bytes) > MAX_INLINE

/** Bytes as the body, with what is asked for beside them in the address and in headers. */
function sendBody({ http, place }: Target, { signal }: CallOptions): Send {
  return async ([entry]) => {
    const { pi = '', bytes, ver, ts, exp, expect_ver, expect_tip } = entry ?? {}
    if (expect_ver !== undefined || exp === null) {
      throw new CairnClientError('Large bytes cannot be written under these conditions.', {
        code: 'usage',
        hint: 'Give `ver` or `expect_tip` in the place of `expect_ver`, and leave `exp` out for never.',
      })
    }
    const written = await http.json<WrittenRecord>({
      method: 'PUT',
      path: `${entityPath(place, pi)}/content`,
      query: { ver, ts, exp },
      headers: ifHeader(expect_tip),
      body: bytes,
      type: 'application/octet-stream',
      retry: 'always',
      signal,
    })
    return [written]
  }
}

export function ifHeader(expectTip: string | null | undefined): Record<string, string> {
  if (expectTip === undefined) return {}
  return expectTip === null ? { 'if-none-match': '*' } : { 'if-match': `"${expectTip}"` }
}

function only(written: readonly WrittenRecord[]): WrittenRecord {
  const [one] = written
  if (one !== undefined) return one
  throw new CairnClientError('The answer tells of no entry.', {
    code: 'bad_answer',
    hint: 'Is it the service that answers at this address?',
  })
}

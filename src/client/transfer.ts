/** CARs: taken as a stream, brought from memory, a file or a stream. */
import { CairnClientError } from './error.ts'
import { streamOf } from './content.ts'
import type { Job } from './job-records.ts'
import type { BackupRecord, CarQuery, UploadQuery } from './records.ts'
import type { Body, Call, CallOptions } from './transport.ts'
import type { Target } from './write.ts'

export interface Download {
  /** Undefined where it is made while it is sent. */
  readonly size: number | undefined
  readonly filename: string | undefined
  /** It ends when all has come; what is cut off is an error. */
  readonly stream: ReadableStream<Uint8Array>
}

export interface TransferCalls {
  readonly car: (query?: CarQuery, options?: CallOptions) => Promise<Download>
  readonly upload: (car: Body, query?: UploadQuery, options?: CallOptions) => Promise<Job>
  /** Newest first. */
  readonly backups: (options?: CallOptions) => Promise<readonly BackupRecord[]>
  readonly backup: (filename: string, options?: CallOptions) => Promise<Download>
}

const CAR = 'application/vnd.ipld.car'
/** A service that builds something large may say nothing for a while. */
const IDLE_MS = 120_000

export function transferCalls({ http, place }: Target): TransferCalls {
  const download = async (call: Pick<Call, 'path' | 'query' | 'signal'>): Promise<Download> => {
    const { response, parts } = await http.open(
      { ...call, method: 'GET', retry: 'always' },
      IDLE_MS,
    )
    const { headers } = response
    const length = headers.get('content-encoding') === null ? headers.get('content-length') : null
    const size = length === null ? undefined : Number(length)
    const filename = /filename="([^"]*)"/.exec(headers.get('content-disposition') ?? '')?.[1]
    return { size, filename, stream: streamOf(exactly(parts, size)) }
  }
  return {
    car: (query, { signal } = {}) =>
      download({ path: `${place}/car`, query: { ...query }, signal }),
    upload: async (body, query, { signal } = {}) => {
      const call = { method: 'POST', path: `${place}/car`, query: { ...query }, body } as const
      const whole: Call = { ...call, type: CAR, retry: 'unbegun', signal, patienceMs: UPLOAD_MS }
      return (await http.json<{ job: Job }>(whole)).job
    },
    backups: async ({ signal } = {}) => {
      const call = { method: 'GET', path: `${place}/backups`, retry: 'always', signal } as const
      return (await http.json<{ items: readonly BackupRecord[] }>(call)).items
    },
    backup: (filename, { signal } = {}) =>
      download({ path: `${place}/backups/${encodeURIComponent(filename)}`, signal }),
  }
}

/** The service sets the limit: upload_deadline. */
const UPLOAD_MS = 24 * 3_600_000

async function* exactly(
  parts: AsyncIterable<Uint8Array>,
  size: number | undefined,
): AsyncGenerator<Uint8Array, undefined> {
  let come = 0
  for await (const part of parts) {
    come += part.length
    yield part
  }
  if (size === undefined || come === size) return
  throw new CairnClientError(`The answer has ${come} bytes, not ${size}.`, {
    code: 'answer_cut',
    hint: 'Ask again; a backup can be asked for in parts.',
  })
}

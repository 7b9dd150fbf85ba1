/**
 * The session of a dataset. Connecting, heartbeats and disconnecting have the same effect however often they
 * come, so they are sent again. A heartbeat that is refused as `not_found` says that the user was
 * disconnected meanwhile: connect anew.
 */
import type {
  ConnectedRecord,
  DisconnectedRecord,
  SavedRecord,
  SessionRecord,
} from './live-records.ts'
import type { Call, CallOptions } from './transport.ts'
import type { Target } from './write.ts'

export interface SaveOptions extends CallOptions {
  /** False: it answers when the save has begun, with its job. */
  readonly wait?: boolean | undefined
}

export interface SessionCalls {
  readonly get: (options?: CallOptions) => Promise<SessionRecord>
  /** Says that the state is initialized; false when it was so before. */
  readonly initialize: (options?: CallOptions) => Promise<boolean>
  /** Who is then silent for `timeoutMs` is disconnected by the service, which saves. */
  readonly connect: (
    user: string,
    options?: CallOptions & { readonly timeoutMs?: number | undefined },
  ) => Promise<ConnectedRecord>
  readonly heartbeat: (user: string, options?: CallOptions) => Promise<void>
  /** Saves with the reason `user_disconnect:USER`. Who is not connected is no error. */
  readonly disconnect: (user: string, options?: SaveOptions) => Promise<DisconnectedRecord>
  /** Replaces the metadata; false when it was the same before. */
  readonly setMetadata: (
    metadata: Readonly<Record<string, unknown>>,
    options?: CallOptions,
  ) => Promise<boolean>
  readonly save: (reason?: string, options?: SaveOptions) => Promise<SavedRecord>
}

/** The service waits for a save up to a minute. */
const PATIENCE_MS = 60_000

export function sessionCalls({ http, place }: Target): SessionCalls {
  const path = `${place}/session`
  const post = <T>(name: string, json: unknown, more: Partial<Call>): Promise<T> =>
    http.json<T>({ method: 'POST', path: `${path}/${name}`, json, retry: 'always', ...more })
  const saving = ({ wait, signal }: SaveOptions): Partial<Call> => ({
    query: { wait },
    signal,
    patienceMs: wait === false ? 0 : PATIENCE_MS,
  })
  return {
    get: ({ signal } = {}) => http.json({ method: 'GET', path, retry: 'always', signal }),
    initialize: async ({ signal } = {}) =>
      (await post<{ changed: boolean }>('initialize', undefined, { signal })).changed,
    connect: (user, { timeoutMs, signal } = {}) =>
      post('connect', { user, timeout_ms: timeoutMs }, { signal }),
    heartbeat: async (user, { signal } = {}) =>
      void (await post('heartbeat', { user }, { signal })),
    disconnect: (user, options = {}) => post('disconnect', { user }, saving(options)),
    setMetadata: async (json, { signal } = {}) => {
      const call = { method: 'PUT', path: `${path}/metadata`, json, signal } as const
      return (await http.json<{ changed: boolean }>({ ...call, retry: 'always' })).changed
    },
    save: (reason, options = {}) =>
      post('save', { reason }, { ...saving(options), retry: 'unbegun' }),
  }
}

/** The sessions of the service, one for each dataset: see live/session-store.ts. */
import type { Dataset } from '../engine/dataset.ts'
import type { SessionRecord } from '../live/session-record.ts'
import { SessionStore, type SessionChange, type SessionEdit } from '../live/session-store.ts'
import { requireLinked } from '../live/require-linked.ts'

export interface Sessions {
  /** One that was never written is a new one. */
  readonly read: (dataset: string) => Promise<SessionRecord>
  /** Resolves when it is durable. */
  readonly change: (dataset: string, edit: SessionEdit) => Promise<SessionChange>
}

interface SessionsOptions {
  readonly dataset: (name: string) => Promise<Dataset>
  /** Something was written. */
  readonly onChange: (dataset: string) => void
}

/** So many are remembered; a store that is in use is kept by those who use it. */
const MAX_KNOWN = 32

export function createSessions({ dataset, onChange }: SessionsOptions): Sessions {
  const stores = new Map<string, SessionStore>()
  const storeOf = (name: string): SessionStore => {
    const store =
      stores.get(name) ??
      new SessionStore(
        () => dataset(name),
        () => onChange(name),
      )
    stores.delete(name)
    stores.set(name, store)
    const [oldest] = stores.keys()
    if (stores.size > MAX_KNOWN && oldest !== undefined) stores.delete(oldest)
    return store
  }
  return {
    read: (name) => storeOf(name).read(),
    change: async (name, edit) => {
      await requireLinked(await dataset(name))
      return storeOf(name).change(edit)
    },
  }
}

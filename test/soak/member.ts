/** Processes of worker.mjs: started, listened to, killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export type Role = 'writer' | 'upkeep' | 'reader' | 'rollback'

export interface Written {
  readonly pi: string
  readonly ver: number
}

export interface Acked extends Written {
  readonly position: number | null
  readonly gone: boolean
}

export interface Said {
  readonly at?: string
  readonly begun?: readonly Written[]
  readonly acked?: readonly Acked[]
  readonly rollback?: 'marked' | 'begun' | 'done'
  readonly error?: string
  readonly message?: string
}

export interface Member {
  readonly role: Role
  readonly said: readonly Said[]
  /** Settles when it has opened the store, or has ended. */
  opened(): Promise<void>
  /** SIGKILL, if it has not ended by itself; settles when nothing more will be said. */
  kill(): Promise<void>
}

export interface Built {
  /** The project as JavaScript. */
  readonly dist: string
  readonly worker: string
}

export function startMember(
  { dist, worker }: Built,
  role: Role,
  store: string,
  options: Readonly<Record<string, unknown>>,
): Member {
  const args = [worker, dist, role, store, JSON.stringify(options)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  const said: Said[] = []
  const lines = createInterface({ input: child.stdout })
  const opened = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      const one = JSON.parse(line) as Said
      said.push(one)
      if (one.at === 'opened') resolve()
    })
    void closed.then(() => resolve())
  })
  return {
    role,
    said,
    opened: () => opened,
    kill: async () => {
      child.kill('SIGKILL')
      await closed
    },
  }
}

/** The step that it said last, unless it ended by itself. */
export function stepOf({ said }: Member): string {
  if (said.some(({ error }) => error !== undefined)) return 'ended before'
  return said.findLast(({ at }) => at !== undefined)?.at ?? 'starting'
}

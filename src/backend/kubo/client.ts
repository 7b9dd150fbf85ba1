/**
 * How the rest of this folder calls the node: reads are tried again while the node restarts, changes
 * are sent once and are waited for as long as a garbage collection may take.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isCairnError, throwIfAborted } from '../../errors.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { FilePart } from './multipart.ts'
import type { Query, Rpc } from './rpc.ts'

export interface Deadlines {
  /** For one read. Reads do not wait for the node's garbage collection. */
  readonly readMs: number
  /** For one change. Every change waits until a running garbage collection has ended. */
  readonly writeMs: number
  /** How long reads are tried again while the node cannot be reached. */
  readonly retryMs: number
}

interface ReadOptions extends CallOptions {
  /** Instead of the client's own. */
  readonly retryMs?: number
}

interface StreamOptions extends CallOptions {
  /** The longest silence; `readMs` unless given. */
  readonly idleMs?: number
}

export interface KuboClient {
  readonly address: string
  readonly deadlines: Deadlines
  read(command: string, query: Query, options?: ReadOptions): Promise<Buffer>
  /** What `read` answers, as it comes. Tried again only until its first byte. */
  stream(command: string, query: Query, options?: StreamOptions): AsyncGenerator<Buffer>
  write(
    command: string,
    query: Query,
    files?: readonly FilePart[],
    options?: CallOptions,
  ): Promise<Buffer>
  /** Ends the calls that run, with `backend_unavailable`; none is tried again. */
  close(): void
}

const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 1_000

export function createClient(rpc: Rpc, deadlines: Deadlines): KuboClient {
  let closed = false

  /** Whether to try again after `error`; pauses before it says yes. */
  const tryingAgain = (retryMs: number, signal?: AbortSignal) => {
    const giveUpAt = performance.now() + retryMs
    let pause = FIRST_PAUSE_MS
    return async (error: unknown): Promise<boolean> => {
      const mayReturn = isCairnError(error, 'backend_unavailable') && !closed
      if (!mayReturn || performance.now() + pause > giveUpAt) return false
      await sleep(pause)
      throwIfAborted(signal)
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
      return true
    }
  }

  const read = async (command: string, query: Query, options?: ReadOptions): Promise<Buffer> => {
    const call = { query, deadlineMs: deadlines.readMs, signal: options?.signal }
    const again = tryingAgain(options?.retryMs ?? deadlines.retryMs, options?.signal)
    for (;;) {
      try {
        return await rpc.call(command, call)
      } catch (error) {
        if (!(await again(error))) throw error
      }
    }
  }

  async function* stream(
    command: string,
    query: Query,
    options?: StreamOptions,
  ): AsyncGenerator<Buffer> {
    const call = { query, idleMs: options?.idleMs ?? deadlines.readMs, signal: options?.signal }
    const again = tryingAgain(deadlines.retryMs, options?.signal)
    for (let begun = false; ;) {
      try {
        for await (const chunk of rpc.stream(command, call)) {
          begun = true
          yield chunk
        }
        return
      } catch (error) {
        if (begun || !(await again(error))) throw error
      }
    }
  }

  return {
    address: rpc.address,
    deadlines,
    read,
    stream,
    write: (command, query, files, options) =>
      rpc.call(command, {
        query,
        deadlineMs: deadlines.writeMs,
        signal: options?.signal,
        ...(files === undefined ? {} : { files }),
      }),
    close: () => {
      closed = true
      rpc.close()
    },
  }
}

/**
 * What is shown stays true: answers are asked for again and again while somebody looks, and at once when the
 * stream of changes says that something is new. Who asks for the same shares one question.
 */
import { effect, signal, type ReadonlySignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { access, datasetClient } from './session.ts'

export interface Polled<T> {
  /** The newest answer; it stays while later ones fail. */
  readonly data: ReadonlySignal<T | undefined>
  /** Why the newest question failed. */
  readonly error: ReadonlySignal<unknown>
  readonly refresh: () => void
}

export interface PollOptions {
  /** What it is an answer to; the same key must always ask for the same. */
  readonly key: string
  readonly everyMs: number
  /** Asked again when the dataset changes, but not more often than each two seconds. */
  readonly onChangeOf?: string | undefined
}

const MOST_BACK_OFF = 8
/** Answers that nobody looks at are kept for who comes back. */
const KEPT = 60
const LEAST_GAP_MS = 2000

interface Poll<T> extends Polled<T> {
  watchers: number
  readonly start: () => void
  readonly forget: () => void
  readonly stop: () => void
}

const polls = new Map<string, Poll<unknown>>()

/** The answer, kept fresh while the component is there. */
export function usePolled<T>(
  { key, everyMs, onChangeOf }: PollOptions,
  load: (signal: AbortSignal) => Promise<T>,
): Polled<T> {
  const poll = pollOf(key, everyMs, load)
  useEffect(() => {
    if (poll.watchers++ === 0) poll.start()
    return () => {
      if (--poll.watchers === 0) poll.stop()
    }
  }, [poll])
  useEffect(() => {
    if (onChangeOf === undefined) return undefined
    return followDataset(onChangeOf, poll.refresh)
  }, [poll, onChangeOf])
  return poll
}

function pollOf<T>(
  key: string,
  everyMs: number,
  load: (signal: AbortSignal) => Promise<T>,
): Poll<T> {
  const known = polls.get(key) as Poll<T> | undefined
  if (known !== undefined) return known
  for (const [other, { watchers }] of polls) {
    if (polls.size < KEPT) break
    if (watchers === 0) polls.delete(other)
  }
  const made = makePoll(everyMs, load)
  polls.set(key, made)
  return made
}

function makePoll<T>(everyMs: number, load: (signal: AbortSignal) => Promise<T>): Poll<T> {
  const data = signal<T | undefined>(undefined)
  const error = signal<unknown>(undefined)
  let running: AbortController | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let asking: AbortController | undefined
  let asked = 0
  let failures = 0
  let isSeen = false
  /** Something changed while an answer was on its way, which may not have it. */
  let isStale = false

  const ask = async (): Promise<void> => {
    const stop = new AbortController()
    asking = stop
    asked = Date.now()
    isStale = false
    clearTimeout(timer)
    try {
      const answer = await load(stop.signal)
      if (stop.signal.aborted) return
      data.value = answer
      error.value = undefined
      failures = 0
    } catch (thrown) {
      if (stop.signal.aborted) return
      error.value = thrown
      failures++
    }
    asking = undefined
    next(isStale ? gapLeft() : everyMs * Math.min(MOST_BACK_OFF, 2 ** failures))
  }
  const next = (ms: number): void => {
    clearTimeout(timer)
    if (!isSeen) return
    timer = setTimeout(() => {
      if (asking === undefined) void ask()
    }, ms)
  }
  const gapLeft = (): number => Math.max(0, asked + LEAST_GAP_MS - Date.now())
  /** Soon, but not too short after the last time. */
  const refresh = (): void => {
    if (asking === undefined) next(gapLeft())
    else isStale = true
  }
  return {
    data,
    error,
    refresh,
    watchers: 0,
    forget: () => {
      data.value = undefined
      error.value = undefined
    },
    start: () => {
      running = new AbortController()
      whileSeen(
        () => {
          isSeen = true
          next(Math.max(0, data.peek() === undefined ? 0 : asked + everyMs - Date.now()))
        },
        () => {
          isSeen = false
          clearTimeout(timer)
        },
        running.signal,
      )
    },
    stop: () => {
      running?.abort()
      isSeen = false
      asking?.abort()
      asking = undefined
      clearTimeout(timer)
    },
  }
}

/** Calls `on` now if the page is seen and the token is good, and each time that becomes so; `off` when it ends. */
function whileSeen(on: () => void, off: () => void, signal: AbortSignal): void {
  let isOn = false
  const look = (): void => {
    const should = document.visibilityState === 'visible' && access.peek() === 'granted'
    if (should === isOn || signal.aborted) return
    isOn = should
    if (should) on()
    else off()
  }
  document.addEventListener('visibilitychange', look, { signal })
  const unsubscribe = access.subscribe(look)
  signal.addEventListener('abort', unsubscribe, { once: true })
}

interface Follower {
  readonly listeners: Set<() => void>
  readonly stop: AbortController
  watchers: number
}

const followers = new Map<string, Follower>()

/** Calls when it changes; ends with what it returns. */
function followDataset(dataset: string, listener: () => void): () => void {
  const follower = followerOf(dataset)
  const own = (): void => listener()
  follower.listeners.add(own)
  if (follower.watchers++ === 0) followWhileSeen(dataset, follower)
  return () => {
    follower.listeners.delete(own)
    if (--follower.watchers > 0) return
    follower.stop.abort()
    followers.delete(dataset)
  }
}

function followerOf(dataset: string): Follower {
  const known = followers.get(dataset)
  if (known !== undefined) return known
  const made = {
    listeners: new Set<() => void>(),
    stop: new AbortController(),
    watchers: 0,
  }
  followers.set(dataset, made)
  return made
}

function followWhileSeen(dataset: string, follower: Follower): void {
  let connection: AbortController | undefined
  let lastId: string | undefined
  const tell = (): void => {
    for (const listener of follower.listeners) listener()
  }
  const run = async (signal: AbortSignal): Promise<void> => {
    try {
      const client = datasetClient(dataset)
      // What came between an answer and the connection is told by neither.
      const since = lastId === undefined ? (await client.checkpoint({ signal })).next : undefined
      if (since !== undefined) tell()
      for await (const change of client.changes({ since, lastId, signal })) {
        lastId = change.id
        tell()
      }
    } catch {
      // It is asked again by polling, which also tells what is wrong.
    }
  }
  whileSeen(
    () => {
      connection = new AbortController()
      void run(connection.signal)
    },
    () => connection?.abort(),
    follower.stop.signal,
  )
  follower.stop.signal.addEventListener('abort', () => connection?.abort(), { once: true })
}

/** Who comes next may not be who was answered. */
function forgetAnswers(): void {
  for (const [key, { watchers, forget }] of polls) {
    if (watchers === 0) polls.delete(key)
    else forget()
  }
}

effect(() => {
  void access.value
  forgetAnswers()
})

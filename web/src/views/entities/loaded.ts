/** What was asked for once, and again when it may have changed; for what is not polled. */
import { useEffect, useRef, useState } from 'preact/hooks'

export interface Loaded<T> {
  /** The newest answer; it stays while another is on its way. */
  readonly data: T | undefined
  readonly error: unknown
  readonly loading: boolean
  readonly retry: () => void
}

interface State<T> {
  readonly data: T | undefined
  readonly error: unknown
  readonly loading: boolean
}

/** `key` says what is asked for. A component that must not show an earlier answer has that in its own `key`. */
export function useLoaded<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<State<T>>({ data: undefined, error: undefined, loading: true })
  const [turn, setTurn] = useState(0)
  const newest = useRef(load)
  newest.current = load
  useEffect(() => {
    const stop = new AbortController()
    setState(({ data }) => ({ data, error: undefined, loading: true }))
    newest.current(stop.signal).then(
      (data) => {
        if (!stop.signal.aborted) setState({ data, error: undefined, loading: false })
      },
      (error: unknown) => {
        if (!stop.signal.aborted) setState(({ data }) => ({ data, error, loading: false }))
      },
    )
    return () => stop.abort()
  }, [key, turn])
  return { ...state, retry: () => setTurn((now) => now + 1) }
}

/**
 * Who asks: the token, asked for once, and the client that sends it. A token is kept in this tab, or on this
 * device if that is wished for; it never stands in an address.
 */
import { batch, computed, signal, type ReadonlySignal } from '@preact/signals'
import {
  CairnClientError,
  connect,
  type Client,
  type DatasetClient,
} from '../../../src/client/index.ts'
import { setServiceTime } from './clock.ts'

const KEY = 'cairn.token'

export type Access =
  | 'granted'
  /** The service wants a token, and none was given yet. */
  | 'needed'
  /** The one that was given is not known. */
  | 'refused'

/** A token, and what ends all that was asked with it. */
interface Session {
  readonly token: string | undefined
  readonly stop: AbortController
}

/** What the service takes for one; anything else could not even be sent. */
const POSSIBLE = /^[\w.~+/=-]{1,512}$/

const session = signal(begin(readToken()))
const state = signal<Access>('granted')
const lostSince = signal<number | undefined>(undefined)

export const access: ReadonlySignal<Access> = state
export const hasToken: ReadonlySignal<boolean> = computed(() => session.value.token !== undefined)
/** When the service was reached last, if it cannot be reached now. */
export const disconnectedSince: ReadonlySignal<number | undefined> = lostSince

/** The folder that the page lies in: a proxy may serve it below another path. */
const base = typeof document === 'undefined' ? '' : new URL('.', document.baseURI).href

export const client: ReadonlySignal<Client> = computed(() => {
  const { value } = session
  const send = watchedFetch(value)
  return connect({ url: base, token: value.token, fetch: send, retries: 2, deadlineMs: 20_000 })
})

export function datasetClient(name: string): DatasetClient {
  return client.value.dataset(name)
}

export function signIn(text: string, remember: boolean): void {
  if (!POSSIBLE.test(text)) {
    state.value = 'refused'
    return
  }
  forget()
  const storage = remember ? localStorage : sessionStorage
  storing(() => storage.setItem(KEY, text))
  become(text, 'granted')
}

export function signOut(): void {
  forget()
  become(undefined, 'needed')
}

/** What is still asked for ends, and nothing is left that holds the token before. */
function become(token: string | undefined, access: Access): void {
  session.peek().stop.abort()
  batch(() => {
    session.value = begin(token)
    state.value = access
  })
  client.peek()
}

function begin(token: string | undefined): Session {
  return { token, stop: new AbortController() }
}

/** A token that this device remembers is forgotten in all its tabs at once. */
function followOtherTabs({ key, oldValue, newValue }: StorageEvent): void {
  const { token } = session.peek()
  if (key !== KEY || token === undefined || oldValue !== token || newValue === token) return
  if (readToken() !== token) become(undefined, 'needed')
}

if (typeof window !== 'undefined') window.addEventListener('storage', followOtherTabs)

function forget(): void {
  storing(() => sessionStorage.removeItem(KEY))
  storing(() => localStorage.removeItem(KEY))
}

function readToken(): string | undefined {
  let found: string | null = null
  storing(() => {
    found = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY)
  })
  return found !== null && POSSIBLE.test(found) ? found : undefined
}

/** Browsers may be set up to store nothing; the token then lasts as long as the page. */
function storing(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof DOMException)) throw error
  }
}

/** Its answers say whether the token is good, and whether the service can be reached. */
function watchedFetch({ token, stop }: Session): typeof fetch {
  return async (input, init) => {
    if (stop.signal.aborted) throw ended()
    const asked = init?.signal
    const signal = asked ? AbortSignal.any([asked, stop.signal]) : stop.signal
    try {
      const response = await fetch(input, { ...init, signal })
      lostSince.value = undefined
      setServiceTime(response.headers.get('date'))
      if (response.status === 401 && !stop.signal.aborted)
        state.value = token === undefined ? 'needed' : 'refused'
      return response
    } catch (error) {
      if (stop.signal.aborted) throw ended()
      if (asked?.aborted !== true && lostSince.peek() === undefined) lostSince.value = Date.now()
      throw error
    }
  }
}

const ended = (): CairnClientError =>
  new CairnClientError('It was asked with another token.', { code: 'aborted' })

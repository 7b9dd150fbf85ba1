/**
 * Who asks: the token, asked for once, and the client that sends it. A token is kept in this tab, or on this
 * device if that is wished for; it never stands in an address.
 */
import { computed, signal, type ReadonlySignal } from '@preact/signals'
import { connect, type Client, type DatasetClient } from '../../../src/client/index.ts'
import { setServiceTime } from './clock.ts'

const KEY = 'cairn.token'

export type Access =
  | 'granted'
  /** The service wants a token, and none was given yet. */
  | 'needed'
  /** The one that was given is not known. */
  | 'refused'

const token = signal(readToken())
const state = signal<Access>('granted')
const lostSince = signal<number | undefined>(undefined)

export const access: ReadonlySignal<Access> = state
export const hasToken: ReadonlySignal<boolean> = computed(() => token.value !== undefined)
/** When the service was reached last, if it cannot be reached now. */
export const disconnectedSince: ReadonlySignal<number | undefined> = lostSince

/** The folder that the page lies in: a proxy may serve it below another path. */
const base = typeof document === 'undefined' ? '' : new URL('.', document.baseURI).href

export const client: ReadonlySignal<Client> = computed(() =>
  connect({ url: base, token: token.value, fetch: watchedFetch, retries: 2, deadlineMs: 20_000 }),
)

export function datasetClient(name: string): DatasetClient {
  return client.value.dataset(name)
}

export function signIn(text: string, remember: boolean): void {
  forget()
  const storage = remember ? localStorage : sessionStorage
  storing(() => storage.setItem(KEY, text))
  token.value = text
  state.value = 'granted'
}

export function signOut(): void {
  forget()
  token.value = undefined
  state.value = 'needed'
}

function forget(): void {
  storing(() => sessionStorage.removeItem(KEY))
  storing(() => localStorage.removeItem(KEY))
}

function readToken(): string | undefined {
  let found: string | null = null
  storing(() => {
    found = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY)
  })
  return found ?? undefined
}

/** Browsers may be set up to store nothing; the token then lasts as long as the page. */
function storing(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof DOMException)) throw error
  }
}

async function watchedFetch(...args: Parameters<typeof fetch>): Promise<Response> {
  const sent = token.peek()
  try {
    const response = await fetch(...args)
    lostSince.value = undefined
    setServiceTime(response.headers.get('date'))
    // An answer to a token that was replaced meanwhile says nothing of the new one.
    if (response.status === 401 && token.peek() === sent)
      state.value = sent === undefined ? 'needed' : 'refused'
    return response
  } catch (error) {
    const stopped = args[1]?.signal?.aborted === true
    if (!stopped && lostSince.peek() === undefined) lostSince.value = Date.now()
    throw error
  }
}

/** Which datasets there are, as far as who asks may know. */
import { computed, effect, signal, type ReadonlySignal } from '@preact/signals'
import { isClientError } from '../../../src/client/error.ts'
import { access, client } from './session.ts'

export type Listing =
  | { readonly state: 'asking' }
  | { readonly state: 'listed'; readonly names: readonly string[] }
  /** The token is for some datasets only, and may not see the list. */
  | { readonly state: 'hidden' }
  | { readonly state: 'failed'; readonly error: unknown }

const found = signal<Listing>({ state: 'asking' })
export const listing: ReadonlySignal<Listing> = found

export const datasets: ReadonlySignal<readonly string[]> = computed(() =>
  found.value.state === 'listed' ? found.value.names : [],
)

const AGAIN_MS = 5000

async function listDatasets(): Promise<void> {
  const asked = client.peek()
  try {
    const names = await asked.datasets()
    if (client.peek() === asked) found.value = { state: 'listed', names }
  } catch (error) {
    if (client.peek() !== asked) return
    if (isClientError(error, 'access_denied')) found.value = { state: 'hidden' }
    else if (found.peek().state !== 'listed') found.value = { state: 'failed', error }
    if (access.peek() === 'granted' && found.peek().state === 'failed')
      setTimeout(() => void listDatasets(), AGAIN_MS)
  }
}

/** Anew for each token. */
export function startListing(): void {
  effect(() => {
    if (access.value !== 'granted') return
    void client.value
    found.value = { state: 'asking' }
    void listDatasets()
  })
}

/** The store's name as the backends take it. */

const API_PATH = /\/api\/v0\/?$/

/** Older programs name the node by the path under which its commands are, too. */
export function stripApiPath(url: string): string {
  return url.replace(API_PATH, '')
}

/** `kubo` and `kubo:` mean the node that `kubo_url` names. */
export function storeName({
  store,
  kubo_url,
}: {
  readonly store: string
  readonly kubo_url: string
}): string {
  if (store === 'kubo' || store === 'kubo:') return `kubo:${stripApiPath(kubo_url)}`
  return store.startsWith('kubo:') ? stripApiPath(store) : store
}

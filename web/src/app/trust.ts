/**
 * The page runs under `require-trusted-types-for 'script'`: text becomes markup or code nowhere. Workers are
 * the one exception, and only those that were built with the page and lie beside this very script.
 */

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown
}

export function trustOwnScripts(): void {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes }
  const folder = new URL(/* @vite-ignore */ '.', import.meta.url).href
  trustedTypes?.createPolicy('default', {
    createScriptURL: (url) => {
      if (new URL(url, document.baseURI).href.startsWith(folder)) return url
      throw new TypeError('Scripts of others are not run here.')
    },
  })
}
